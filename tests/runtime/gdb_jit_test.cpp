// The symbol file is ELF that a debugger accepts, and the list of them stays well-formed.
#include "runtime/cpu/gdb_jit.h"

#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include <elf.h>
#include <gtest/gtest.h>

// The interface as a debugger sees it.
extern "C" {
struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const char* symfile_addr;
  std::uint64_t symfile_size;
};
struct jit_descriptor {
  std::uint32_t version;
  std::uint32_t action_flag;
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};
extern jit_descriptor __jit_debug_descriptor;
}

namespace lathe::runtime {
namespace {

template <typename T>
T at(const char* file, std::size_t offset) {
  T value;
  std::memcpy(&value, file + offset, sizeof value);
  return value;
}

struct Function {
  std::string name;
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

/// Reads the one function of a symbol file as a debugger would, checking what it relies on.
Function parse(const char* file, std::size_t bytes) {
  Function function;
  const auto header = at<Elf64_Ehdr>(file, 0);
  EXPECT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
  EXPECT_EQ(header.e_ident[EI_CLASS], ELFCLASS64);
  EXPECT_EQ(header.e_shentsize, sizeof(Elf64_Shdr));
  EXPECT_LE(header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr), bytes);
  const auto section = [&](std::size_t index) {
    return at<Elf64_Shdr>(file, header.e_shoff + index * sizeof(Elf64_Shdr));
  };
  const Elf64_Shdr names = section(header.e_shstrndx);
  std::optional<std::size_t> text;
  std::optional<std::size_t> symbols;
  for (std::size_t index = 1; index < header.e_shnum; ++index) {
    const Elf64_Shdr s = section(index);
    EXPECT_LT(s.sh_name, names.sh_size);
    if (s.sh_type != SHT_NOBITS) {
      EXPECT_LE(s.sh_offset + s.sh_size, bytes);
    }
    const std::string name = file + names.sh_offset + s.sh_name;
    if (name == ".text") text = index;
    if (name == ".symtab") symbols = index;
  }
  if (!text || !symbols) {
    ADD_FAILURE() << "a section is missing";
    return function;
  }
  EXPECT_EQ(section(*text).sh_type, static_cast<std::uint32_t>(SHT_NOBITS));
  EXPECT_EQ(section(*text).sh_flags, static_cast<std::uint64_t>(SHF_ALLOC | SHF_EXECINSTR));
  const Elf64_Shdr table = section(*symbols);
  EXPECT_EQ(table.sh_size, 2 * sizeof(Elf64_Sym));
  const auto symbol = at<Elf64_Sym>(file, table.sh_offset + sizeof(Elf64_Sym));
  EXPECT_EQ(ELF64_ST_TYPE(symbol.st_info), STT_FUNC);
  EXPECT_EQ(symbol.st_shndx, *text);
  EXPECT_EQ(symbol.st_value, section(*text).sh_addr);
  EXPECT_EQ(symbol.st_size, section(*text).sh_size);
  function.name = file + section(table.sh_link).sh_offset + symbol.st_name;
  function.address = symbol.st_value;
  function.size = symbol.st_size;
  return function;
}

TEST(GdbJit, SymbolFileNamesTheFunction) {
  const std::span<const std::byte> code(reinterpret_cast<const std::byte*>(0x7f0012340000), 123);
  const auto file = make_symbol_file("rms_norm width=2048", code);
  const Function function = parse(reinterpret_cast<const char*>(file.data()), file.size());
  EXPECT_EQ(function.name, "rms_norm width=2048");
  EXPECT_EQ(function.address, 0x7f0012340000u);
  EXPECT_EQ(function.size, 123u);
}

/// Names in the debugger's list, first to last; checks the links on the way.
std::vector<std::string> listed() {
  std::vector<std::string> names;
  const jit_code_entry* before = nullptr;
  for (const jit_code_entry* entry = __jit_debug_descriptor.first_entry; entry != nullptr;
       entry = entry->next_entry) {
    EXPECT_EQ(entry->prev_entry, before);
    before = entry;
    names.push_back(parse(entry->symfile_addr, entry->symfile_size).name);
  }
  return names;
}

using Names = std::vector<std::string>;

TEST(GdbJit, ListFollowsRegistrations) {
  const std::byte code[8] = {};
  EXPECT_EQ(__jit_debug_descriptor.version, 1u);
  EXPECT_EQ(listed(), Names{});
  {
    auto a = GdbRegistration::add("a", code);
    auto b = GdbRegistration::add("b", code);
    auto c = GdbRegistration::add("c", code);
    EXPECT_EQ(listed(), (Names{"c", "b", "a"}));
    b = GdbRegistration();
    EXPECT_EQ(listed(), (Names{"c", "a"}));
    const GdbRegistration moved = std::move(c);
    EXPECT_EQ(listed(), (Names{"c", "a"}));
  }
  EXPECT_EQ(listed(), Names{});
  EXPECT_EQ(__jit_debug_descriptor.relevant_entry, nullptr);
}

TEST(GdbJit, ManyThreads) {
  const std::byte code[8] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const auto a = GdbRegistration::add("a", code);
        const auto b = GdbRegistration::add("b", code);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(listed(), Names{});
}

}  // namespace
}  // namespace lathe::runtime

// GDB's JIT interface: one global list of in-memory symbol files, and a function it breaks on.
#include "runtime/cpu/gdb_jit.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>

#include <elf.h>

// The names and layouts below are the interface itself (GDB manual, "JIT Compilation Interface"):
// the debugger finds them by name in the program. Weak, because another JIT in the same process
// (LLVM's) may bring its own definition of the same two symbols, and there must be one list.
extern "C" {

enum { kJitNoAction = 0, kJitRegister = 1, kJitUnregister = 2 };

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

__attribute__((noinline, weak)) void __jit_debug_register_code() {
  __asm__ volatile("" ::: "memory");  // keeps the call from being removed
}

extern jit_descriptor __jit_debug_descriptor;
__attribute__((weak)) jit_descriptor __jit_debug_descriptor = {1, kJitNoAction, nullptr, nullptr};

}  // extern "C"

namespace lathe::runtime {
namespace {

std::mutex& list_mutex() {
  static std::mutex mutex;
  return mutex;
}

/// Sections of the symbol file, in this order.
enum Section : std::uint16_t { kNull, kText, kSymbols, kStrings, kNames, kSections };

constexpr char kSectionNames[] = "\0.text\0.symtab\0.strtab\0.shstrtab";

std::uint32_t section_name(std::string_view name) {
  return static_cast<std::uint32_t>(
      std::string_view(kSectionNames, sizeof kSectionNames).find(std::string(name) + '\0'));
}

template <typename T>
void put(std::vector<std::byte>& file, std::size_t at, const T& value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

constexpr std::uint16_t machine() {
#if defined(__aarch64__)
  return EM_AARCH64;
#else
  return EM_X86_64;
#endif
}

}  // namespace

bool gdb_jit_enabled() {
  static const bool enabled = [] {
    const char* text = std::getenv("LATHE_GDB");
    return text != nullptr && std::string_view(text) == "1";
  }();
  return enabled;
}

std::vector<std::byte> make_symbol_file(std::string_view name, std::span<const std::byte> code) {
  const std::string strings = '\0' + std::string(name) + '\0';
  const std::size_t section_table = sizeof(Elf64_Ehdr);
  const std::size_t symbols_at = section_table + kSections * sizeof(Elf64_Shdr);
  const std::size_t strings_at = symbols_at + 2 * sizeof(Elf64_Sym);
  const std::size_t names_at = strings_at + strings.size();
  std::vector<std::byte> file(names_at + sizeof kSectionNames);

  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;  // addresses are final: nothing to relocate
  header.e_machine = machine();
  header.e_version = EV_CURRENT;
  header.e_shoff = section_table;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = kSections;
  header.e_shstrndx = kNames;
  put(file, 0, header);

  const auto address = reinterpret_cast<std::uintptr_t>(code.data());
  Elf64_Shdr sections[kSections] = {};
  sections[kText].sh_name = section_name(".text");
  sections[kText].sh_type = SHT_NOBITS;  // the bytes are in memory already
  sections[kText].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
  sections[kText].sh_addr = address;
  sections[kText].sh_size = code.size();
  sections[kText].sh_addralign = 1;
  sections[kSymbols].sh_name = section_name(".symtab");
  sections[kSymbols].sh_type = SHT_SYMTAB;
  sections[kSymbols].sh_offset = symbols_at;
  sections[kSymbols].sh_size = 2 * sizeof(Elf64_Sym);
  sections[kSymbols].sh_link = kStrings;
  sections[kSymbols].sh_info = 1;  // index of the first global symbol
  sections[kSymbols].sh_addralign = 8;
  sections[kSymbols].sh_entsize = sizeof(Elf64_Sym);
  sections[kStrings].sh_name = section_name(".strtab");
  sections[kStrings].sh_type = SHT_STRTAB;
  sections[kStrings].sh_offset = strings_at;
  sections[kStrings].sh_size = strings.size();
  sections[kStrings].sh_addralign = 1;
  sections[kNames].sh_name = section_name(".shstrtab");
  sections[kNames].sh_type = SHT_STRTAB;
  sections[kNames].sh_offset = names_at;
  sections[kNames].sh_size = sizeof kSectionNames;
  sections[kNames].sh_addralign = 1;
  put(file, section_table, sections);

  Elf64_Sym symbol = {};
  symbol.st_name = 1;
  symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
  symbol.st_shndx = kText;
  symbol.st_value = address;  // absolute, as in any ET_EXEC file
  symbol.st_size = code.size();
  put(file, symbols_at + sizeof(Elf64_Sym), symbol);
  std::memcpy(file.data() + strings_at, strings.data(), strings.size());
  std::memcpy(file.data() + names_at, kSectionNames, sizeof kSectionNames);
  return file;
}

struct GdbRegistration::Entry {
  std::vector<std::byte> file;
  jit_code_entry node = {};

  explicit Entry(std::vector<std::byte> symbol_file) : file(std::move(symbol_file)) {
    node.symfile_addr = reinterpret_cast<const char*>(file.data());
    node.symfile_size = file.size();
    const std::lock_guard lock(list_mutex());
    jit_descriptor& list = __jit_debug_descriptor;
    node.next_entry = list.first_entry;
    if (node.next_entry != nullptr) node.next_entry->prev_entry = &node;
    list.first_entry = &node;
    notify(kJitRegister);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() {
    const std::lock_guard lock(list_mutex());
    jit_descriptor& list = __jit_debug_descriptor;
    if (node.prev_entry != nullptr) node.prev_entry->next_entry = node.next_entry;
    if (node.next_entry != nullptr) node.next_entry->prev_entry = node.prev_entry;
    if (list.first_entry == &node) list.first_entry = node.next_entry;
    notify(kJitUnregister);
  }

 private:
  void notify(std::uint32_t action) {
    __jit_debug_descriptor.relevant_entry = &node;
    __jit_debug_descriptor.action_flag = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.relevant_entry = nullptr;
    __jit_debug_descriptor.action_flag = kJitNoAction;
  }
};

GdbRegistration::GdbRegistration() = default;
GdbRegistration::GdbRegistration(GdbRegistration&&) noexcept = default;
GdbRegistration& GdbRegistration::operator=(GdbRegistration&&) noexcept = default;
GdbRegistration::~GdbRegistration() = default;

GdbRegistration GdbRegistration::add(std::string_view name, std::span<const std::byte> code) {
  GdbRegistration registration;
  registration.entry_ = std::make_unique<Entry>(make_symbol_file(name, code));
  return registration;
}

}  // namespace lathe::runtime

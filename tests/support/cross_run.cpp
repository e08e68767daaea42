// Writes, links and runs the small C program that calls kernels on another machine.
#include "tests/support/cross_run.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "support/files.h"
#include "tests/temporary_folder.h"

namespace lathe::tests {
namespace {

// Reads jobs from argv[1], does them, writes every memory of every job to argv[2].
constexpr std::string_view kHarness = R"(
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef void (*Kernel)(const uint64_t *slots);
%DECLARATIONS%
static const Kernel kernels[] = {%NAMES%};

static int64_t word(FILE *in) {
  int64_t value = 0;
  if (fread(&value, 8, 1, in) != 1) { fprintf(stderr, "the calls end early\n"); exit(3); }
  return value;
}

// Memory whose last byte is the last before a page without access.
static char *guarded(size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t whole = (bytes + page - 1) / page * page;
  char *base = mmap(0, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED || mprotect(base + whole, page, PROT_NONE) != 0) {
    fprintf(stderr, "no memory\n");
    exit(3);
  }
  return base + whole - bytes;
}

static void release(char *data, size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t whole = (bytes + page - 1) / page * page;
  munmap(data + bytes - whole, whole + page);
}

static volatile int64_t place[3];
static void fault(int signal) {
  (void)signal;
  fprintf(stderr, "a fault in job %d, call %d, kernel %d\n", (int)place[0], (int)place[1],
          (int)place[2]);
  _exit(4);
}

int main(int argc, char **argv) {
  signal(SIGSEGV, fault);
  signal(SIGBUS, fault);
  if (argc != 3) return 2;
  FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
  if (!in || !out) { fprintf(stderr, "cannot open the files\n"); return 3; }
  const int64_t jobs = word(in);
  for (int64_t job = 0; job < jobs; ++job) {
    char *memory[64];
    size_t bytes[64];
    const int64_t memories = word(in);
    if (memories > 64) { fprintf(stderr, "too many memories\n"); return 3; }
    for (int64_t m = 0; m < memories; ++m) {
      bytes[m] = (size_t)word(in);
      memory[m] = guarded(bytes[m]);
      if (fread(memory[m], 1, bytes[m], in) != bytes[m]) { fprintf(stderr, "short\n"); return 3; }
    }
    const int64_t calls = word(in);
    for (int64_t call = 0; call < calls; ++call) {
      uint64_t slots[64];
      const int64_t kernel = word(in), buffers = word(in), parameters = word(in);
      if (buffers + parameters > 64) { fprintf(stderr, "too many arguments\n"); return 3; }
      for (int64_t b = 0; b < buffers; ++b) {
        const int64_t m = word(in);
        slots[b] = (uint64_t)(memory[m] + word(in));
      }
      for (int64_t p = 0; p < parameters; ++p) slots[buffers + p] = (uint64_t)word(in);
      place[0] = job, place[1] = call, place[2] = kernel;
      kernels[kernel](slots);
    }
    for (int64_t m = 0; m < memories; ++m) {
      fwrite(memory[m], 1, bytes[m], out);
      release(memory[m], bytes[m]);
    }
  }
  return fclose(out) == 0 ? 0 : 3;
}
)";

bool in_path(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

void replace(std::string& text, std::string_view what, const std::string& with) {
  text.replace(text.find(what), what.size(), with);
}

std::string harness(std::span<const CrossKernel> kernels) {
  std::string declarations, names;
  for (size_t i = 0; i < kernels.size(); ++i) {
    // The label is the kernel's name, whatever that means to C.
    declarations +=
        fmt::format("void kernel_{}(const uint64_t *) __asm__(\"{}\");\n", i, kernels[i].symbol);
    names += fmt::format("kernel_{}, ", i);
  }
  std::string text(kHarness);
  replace(text, "%DECLARATIONS%", declarations);
  replace(text, "%NAMES%", names);
  return text;
}

void append_word(std::string& bytes, int64_t word) {
  bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
}

std::string_view chars(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append_size(std::string& bytes, size_t size) {
  append_word(bytes, static_cast<int64_t>(size));
}

std::string encode(std::span<const CrossJob> jobs) {
  std::string bytes;
  append_size(bytes, jobs.size());
  for (const CrossJob& job : jobs) {
    append_size(bytes, job.memory.size());
    for (const auto& memory : job.memory) {
      append_size(bytes, memory.size());
      bytes += chars(memory);
    }
    append_size(bytes, job.calls.size());
    for (const CrossCall& call : job.calls) {
      append_size(bytes, call.kernel);
      append_size(bytes, call.buffers.size());
      append_size(bytes, call.parameters.size());
      for (const CrossCall::Place& place : call.buffers) {
        append_size(bytes, place.memory);
        append_word(bytes, place.offset);
      }
      for (const int64_t parameter : call.parameters) append_word(bytes, parameter);
    }
  }
  return bytes;
}

Status run_command(const std::string& command, const TemporaryFolder& folder, ErrorCode code,
                   std::string_view what) {
  const auto log = folder / "log";
  const int status = std::system((command + " >" + log.string() + " 2>&1").c_str());
  if (status == 0) return {};
  auto printed = support::read_file(log);
  return fail(code, "{} ended with status {}: {}", what, status,
              printed ? *printed : std::string("nothing was printed"));
}

}  // namespace

std::string missing_cross_tools(const CrossTools& tools) {
  for (const std::string& program : {tools.compiler, tools.emulator})
    if (!in_path(program)) return program + " is not installed: kernels for its machine do not run";
  return "";
}

CrossJob one_call(size_t kernel, std::vector<std::vector<std::byte>> buffers,
                  std::vector<int64_t> parameters) {
  CrossCall call{kernel, {}, std::move(parameters)};
  for (size_t i = 0; i < buffers.size(); ++i) call.buffers.push_back({i, 0});
  return {std::move(buffers), {std::move(call)}};
}

Result<std::vector<std::vector<std::vector<std::byte>>>> cross_run(
    std::span<const CrossKernel> kernels, std::span<const CrossJob> jobs, const CrossTools& tools) {
  const TemporaryFolder folder;
  LATHE_CHECK(support::write_file(folder / "harness.c", harness(kernels)));
  std::string link = tools.compiler + " -O1 -static -o " + (folder / "run").string() + " " +
                     (folder / "harness.c").string();
  for (size_t i = 0; i < kernels.size(); ++i) {
    const auto path = folder / ("kernel" + std::to_string(i) + ".o");
    LATHE_CHECK(support::write_file(path, chars(kernels[i].object)));
    link += " " + path.string();
  }
  LATHE_CHECK(run_command(link, folder, ErrorCode::io_error, "linking the kernels"));
  LATHE_CHECK(support::write_file(folder / "jobs", encode(jobs)));
  LATHE_CHECK(run_command(fmt::format("{} {} {} {}", tools.emulator, (folder / "run").string(),
                                      (folder / "jobs").string(), (folder / "results").string()),
                          folder, ErrorCode::mismatch,
                          "running the kernels under " + tools.emulator));

  LATHE_TRY(const std::string results, support::read_file(folder / "results"));
  std::vector<std::vector<std::vector<std::byte>>> after;
  size_t at = 0;
  for (const CrossJob& job : jobs) {
    auto& memories = after.emplace_back();
    for (const auto& memory : job.memory) {
      if (memory.size() > results.size() - at)
        return fail(ErrorCode::mismatch, "found {} bytes of results, expected more: job {}",
                    results.size(), after.size() - 1);
      auto& bytes = memories.emplace_back(memory.size());
      if (!bytes.empty()) std::memcpy(bytes.data(), results.data() + at, bytes.size());
      at += bytes.size();
    }
  }
  return after;
}

}  // namespace lathe::tests

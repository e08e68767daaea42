// What the runtime knows of a code generator.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "codegen/kernel_image.h"
#include "ir/program/program.h"

namespace lathe::codegen {

/// Thread-safe: every method may be called from several threads at once.
class Backend {
 public:
  virtual ~Backend() = default;

  /// "x86" or "llvm".
  virtual std::string_view name() const = 0;

  /// Whether this backend emits for the target's instruction path at all, on whatever host.
  virtual bool emits(const ir::Target& target) const = 0;

  /// The target `name` (scalar, sse, avx2, avx512 or llvm) for the machine `cpu`, empty for this
  /// host: not_found where this backend does not make it, or knows no such machine.
  virtual Result<ir::Target> target(std::string_view name, std::string_view cpu) const = 0;

  /// Machine code for a verified program. `rejected` where the program needs more registers than
  /// the target has, naming both counts; `unsupported` where !emits(program.target).
  virtual Result<KernelImage> compile(const ir::program::Program& program) const = 0;

  /// Maps an image of Format::object. Flat images are mapped by the runtime itself.
  virtual Result<std::unique_ptr<LoadedKernel>> load(const KernelImage& image) const;

  /// One instruction a line, AT&T-free (Intel) syntax, addresses replaced by labels. `unsupported`
  /// where the build has no disassembler.
  virtual Result<std::string> disassemble(const KernelImage& image) const;
};

}  // namespace lathe::codegen

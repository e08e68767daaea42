// ORC's object layer without a process behind it: an object's undefined symbol is an error.
#include "codegen/llvm/loader.h"

#include <atomic>
#include <string>
#include <utility>

#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ExecutorProcessControl.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>

#include "codegen/llvm/machine.h"

namespace lathe::codegen::llvm {
namespace {

namespace ll = ::llvm;

// One per process, kept alive by the kernels: each has a library of its own in it, so that two of
// the same name do not meet. JITLink maps memory writable, fills it, and only then makes code
// executable.
class Session {
 public:
  static Result<std::shared_ptr<Session>> get() {
    static const Result<std::shared_ptr<Session>> session = make();
    return session;
  }

  ~Session() { ll::consumeError(session_.endSession()); }

  Result<ll::orc::ExecutorAddr> link(const KernelImage& image, ll::orc::JITDylib*& library) {
    library = &session_.createBareJITDylib(image.name + "." + std::to_string(next_++));
    const ll::StringRef bytes(reinterpret_cast<const char*>(image.code.data()), image.code.size());
    ll::Error error = layer_.add(*library, ll::MemoryBuffer::getMemBufferCopy(bytes, image.name));
    if (error)
      return fail(ErrorCode::corrupt, "kernel image '{}' does not load: {}", image.name,
                  ll::toString(std::move(error)));
    auto symbol = session_.lookup({library}, image.name);
    if (!symbol)
      return fail(ErrorCode::corrupt, "kernel image '{}' does not link: {}", image.name,
                  ll::toString(symbol.takeError()));
    return symbol->getAddress();
  }

  void remove(ll::orc::JITDylib& library) { ll::consumeError(session_.removeJITDylib(library)); }

 private:
  explicit Session(std::unique_ptr<ll::orc::SelfExecutorProcessControl> process)
      : session_(std::move(process)), layer_(session_) {
    // Failures come back through lookup(); the default reporter writes to standard error.
    session_.setErrorReporter([](ll::Error error) { ll::consumeError(std::move(error)); });
  }

  static Result<std::shared_ptr<Session>> make() {
    auto process = ll::orc::SelfExecutorProcessControl::Create();
    if (!process)
      return fail(ErrorCode::resource_exhausted, "LLVM's linker does not start: {}",
                  ll::toString(process.takeError()));
    return std::shared_ptr<Session>(new Session(std::move(*process)));
  }

  ll::orc::ExecutionSession session_;
  ll::orc::ObjectLinkingLayer layer_;
  std::atomic<uint64_t> next_{0};
};

class LoadedObject final : public LoadedKernel {
 public:
  LoadedObject(std::shared_ptr<Session> session, ll::orc::JITDylib& library,
               ll::orc::ExecutorAddr entry)
      : session_(std::move(session)), library_(library) {
    function_ = entry.toPtr<ir::program::KernelFunction>();
  }
  ~LoadedObject() override { session_->remove(library_); }
  LoadedObject(const LoadedObject&) = delete;
  LoadedObject& operator=(const LoadedObject&) = delete;

 private:
  std::shared_ptr<Session> session_;
  ll::orc::JITDylib& library_;
};

// Before anything is linked: is this an object, and may its code run here?
Status check(const KernelImage& image) {
  if (image.format != KernelImage::Format::object)
    return fail(ErrorCode::invalid_argument,
                "backend llvm loads object files; found image '{}' of flat code: map it with "
                "runtime::ExecutableMemory",
                image.name);
  const ll::StringRef bytes(reinterpret_cast<const char*>(image.code.data()), image.code.size());
  auto object = ll::object::ObjectFile::createELFObjectFile(ll::MemoryBufferRef(bytes, image.name),
                                                            /*InitContent=*/false);
  if (!object)
    return fail(ErrorCode::corrupt, "kernel image '{}' is no ELF object: {}", image.name,
                ll::toString(object.takeError()));
  const std::string found = ll::Triple::getArchTypeName((*object)->getArch()).str();
  if (found != support::host().architecture)
    return fail(ErrorCode::unsupported,
                "kernel image '{}': found code for {}, expected {} to run it here", image.name,
                found, support::host().architecture);
  const support::IsaMask missing = image.required_isa.without(support::executable_isa());
  if (!missing.empty())
    return fail(ErrorCode::unsupported,
                "kernel image '{}' needs {}, which this CPU or its operating system lacks; compile "
                "it for this host",
                image.name, support::to_string(missing));
  return {};
}

}  // namespace

Result<std::unique_ptr<LoadedKernel>> load_object(const KernelImage& image) {
  initialize_llvm();
  LATHE_CHECK(check(image));
  LATHE_TRY(std::shared_ptr<Session> session, Session::get());
  ll::orc::JITDylib* library = nullptr;
  const auto entry = session->link(image, library);
  if (!entry) {
    session->remove(*library);
    return tl::unexpected(entry.error());
  }
  return std::make_unique<LoadedObject>(std::move(session), *library, *entry);
}

}  // namespace lathe::codegen::llvm

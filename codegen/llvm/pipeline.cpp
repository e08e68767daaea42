// Lower, optimise, emit: one program to one relocatable object.
#include "codegen/llvm/pipeline.h"

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Target/TargetOptions.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/ADCE.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/GVN.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/LoopRotation.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include "codegen/llvm/lowering.h"

namespace lathe::codegen::llvm {
namespace {

// A context, and what lives in it.
struct Unit {
  Machine machine;
  std::unique_ptr<ll::LLVMContext> context;
  std::unique_ptr<ll::TargetMachine> target;
  std::unique_ptr<ll::Module> module;
};

std::unique_ptr<ll::TargetMachine> make_target_machine(const Machine& machine) {
  std::string ignored;
  const ll::Target* target = ll::TargetRegistry::lookupTarget(machine.triple, ignored);
  if (target == nullptr) return nullptr;
  ll::TargetOptions options;
  options.AllowFPOpFusion = ll::FPOpFusion::Strict;  // a*b + c rounds twice unless it says fma
  return std::unique_ptr<ll::TargetMachine>(target->createTargetMachine(
      machine.triple, machine.cpu, machine.all_features(), options, ll::Reloc::PIC_,
      ll::CodeModel::Small, ll::CodeGenOptLevel::Default));
}

Result<Unit> lower(const ir::program::Program& program) {
  Unit unit;
  LATHE_TRY(unit.machine, machine_of(program.target));
  unit.context = std::make_unique<ll::LLVMContext>();
  unit.target = make_target_machine(unit.machine);
  if (unit.target == nullptr)
    return fail(ErrorCode::unsupported,
                "this build of LLVM emits no code for '{}'; use x86_64 or aarch64",
                unit.machine.triple);
  unit.module = std::make_unique<ll::Module>(program.name, *unit.context);
  unit.module->setTargetTriple(unit.machine.triple);
  unit.module->setDataLayout(unit.target->createDataLayout());
  Lowering(program, unit.machine, *unit.module).run();

  std::string complaint;
  ll::raw_string_ostream stream(complaint);
  if (ll::verifyModule(*unit.module, &stream))
    return fail(ErrorCode::internal, "lowering of '{}' made malformed LLVM IR: {}", program.name,
                complaint);
  return unit;
}

// Registers to values, then what a kernel has left to gain: address arithmetic, constants and loads
// out of loops, common subexpressions. No pass here vectorises, unrolls, or makes calls.
void optimise(Unit& unit) {
  ll::PassBuilder builder(unit.target.get());
  ll::LoopAnalysisManager loops;
  ll::FunctionAnalysisManager functions;
  ll::CGSCCAnalysisManager sccs;
  ll::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);

  ll::FunctionPassManager passes;
  passes.addPass(ll::SROAPass(ll::SROAOptions::ModifyCFG));
  passes.addPass(ll::EarlyCSEPass(/*UseMemorySSA=*/false));
  passes.addPass(ll::SimplifyCFGPass());
  passes.addPass(ll::InstCombinePass());
  ll::LoopPassManager loop_passes;
  loop_passes.addPass(ll::LoopRotatePass());
  loop_passes.addPass(ll::LICMPass(ll::LICMOptions()));
  passes.addPass(ll::createFunctionToLoopPassAdaptor(std::move(loop_passes),
                                                     /*UseMemorySSA=*/true));
  passes.addPass(ll::GVNPass(ll::GVNOptions().setPRE(false).setLoadPRE(false)));
  passes.addPass(ll::InstCombinePass());
  passes.addPass(ll::ADCEPass());
  passes.addPass(ll::SimplifyCFGPass());
  for (ll::Function& function : *unit.module)
    if (!function.isDeclaration()) passes.run(function, functions);
}

// The size of the function, and a failure where the object asks for anything from outside.
Result<size_t> inspect(const KernelImage& image, std::string_view machine) {
  const ll::StringRef bytes(reinterpret_cast<const char*>(image.code.data()), image.code.size());
  auto object = ll::object::ObjectFile::createObjectFile(ll::MemoryBufferRef(bytes, image.name));
  if (!object)
    return fail(ErrorCode::internal, "LLVM's object for '{}' does not parse: {}", image.name,
                ll::toString(object.takeError()));
  std::string missing;
  size_t size = 0;
  for (const ll::object::ELFSymbolRef symbol : (*object)->symbols()) {
    auto flags = symbol.getFlags();
    auto name = symbol.getName();
    if (!flags || !name) {
      ll::consumeError(flags.takeError());
      ll::consumeError(name.takeError());
      continue;
    }
    if ((*flags & ll::object::SymbolRef::SF_Undefined) != 0 && !name->empty())
      missing += (missing.empty() ? "" : ", ") + name->str();
    if (*name == image.name) size = symbol.getSize();
  }
  if (!missing.empty())
    return fail(ErrorCode::unsupported,
                "code for '{}' on {} would call {}; kernels call nothing: name a CPU that has the "
                "instruction, or a target with fewer features",
                image.name, machine, missing);
  return size;
}

std::string text(const ll::Module& module) {
  std::string text;
  ll::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  return text;
}

}  // namespace

Result<KernelImage> compile_object(const ir::program::Program& program) {
  LATHE_TRY(Unit unit, lower(program));
  optimise(unit);

  ll::SmallVector<char, 0> bytes;
  ll::raw_svector_ostream stream(bytes);
  ll::legacy::PassManager emission;
  if (unit.target->addPassesToEmitFile(emission, stream, nullptr, ll::CodeGenFileType::ObjectFile))
    return fail(ErrorCode::unsupported, "LLVM writes no objects for '{}'", unit.machine.triple);
  emission.run(*unit.module);

  KernelImage image;
  image.name = symbol_name(program.name);
  image.format = KernelImage::Format::object;
  image.backend = "llvm";
  image.required_isa = unit.machine.isa;
  image.code.resize(bytes.size());
  std::memcpy(image.code.data(), bytes.data(), bytes.size());
  LATHE_TRY(image.code_bytes, inspect(image, unit.machine.text()));
  return image;
}

Result<std::string> emit_llvm_ir(const ir::program::Program& program, IrStage stage) {
  LATHE_TRY(Unit unit, lower(program));
  if (stage == IrStage::optimised) optimise(unit);
  return text(*unit.module);
}

}  // namespace lathe::codegen::llvm

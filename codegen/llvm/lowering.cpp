// The frame of a lowered program: the function, its registers, loops, branches, scalars.
#include "codegen/llvm/lowering.h"

#include <cassert>
#include <cctype>
#include <utility>

#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/MDBuilder.h>

namespace lathe::codegen::llvm {

using ir::program::Compare;
using ir::program::Op;
using ir::program::RegClass;

std::string symbol_name(std::string_view program_name) {
  std::string name(program_name);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) name.insert(0, "_");
  return name;
}

Lowering::Lowering(const ir::program::Program& program, const Machine& machine, ll::Module& module)
    : program_(program),
      machine_(machine),
      module_(module),
      b_(module.getContext()),
      n_(static_cast<unsigned>(program.target.lanes)),
      floats_(vector_of(b_.getFloatTy(), n_)),
      ints_(vector_of(b_.getInt32Ty(), n_)),
      words_(vector_of(b_.getInt16Ty(), 2 * n_)),
      bytes_(vector_of(b_.getInt8Ty(), 4 * n_)),
      bits_(vector_of(b_.getInt1Ty(), n_)) {}

ll::Function* Lowering::run() {
  auto* type = ll::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy()}, false);
  function_ = ll::Function::Create(type, ll::Function::ExternalLinkage, symbol_name(program_.name),
                                   module_);
  function_->addFnAttr(ll::Attribute::NoUnwind);
  function_->addFnAttr("no-builtins");
  function_->addFnAttr("target-cpu", machine_.cpu);
  function_->addFnAttr("target-features", machine_.all_features());
  if (machine_.architecture == Architecture::x86_64) {
    // Some CPUs' tuning splits 512-bit vectors; a program of 16 lanes means what it says.
    function_->addFnAttr("prefer-vector-width", std::to_string(32 * std::max(n_, 4U)));
  }
  b_.SetInsertPoint(ll::BasicBlock::Create(module_.getContext(), "entry", function_));

  ll::Type* types[] = {floats_, bits_, b_.getInt64Ty(), b_.getPtrTy()};
  const char* names[] = {"v", "m", "s", "p"};
  for (size_t cls = 0; cls < 4; ++cls) {
    for (uint32_t id = 0; id < program_.registers[cls]; ++id)
      slots_[cls].push_back(b_.CreateAlloca(types[cls], nullptr, names[cls] + std::to_string(id)));
  }

  uint64_t argument = 0;
  ll::Argument* slots = function_->getArg(0);
  slots->setName("slots");
  const auto next = [&](ll::Type* type) {
    return b_.CreateAlignedLoad(
        type, b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), slots, argument++), ll::Align(8));
  };
  for (const auto& buffer : program_.buffers) put(buffer.pointer, next(b_.getPtrTy()));
  for (const auto& parameter : program_.parameters) put(parameter.reg, next(b_.getInt64Ty()));

  block(program_.body);
  // x86's streamed stores obey no order, not even that of a later release, until they are fenced;
  // other machines' do.
  if (streams_ && machine_.architecture == Architecture::x86_64)
    b_.CreateIntrinsic(ll::Intrinsic::x86_sse_sfence, {}, {});
  b_.CreateRetVoid();
  return function_;
}

void Lowering::block(const ir::program::Block& block) {
  for (const ir::program::Node& node : block) {
    if (const auto* instr = std::get_if<Instr>(&node.value)) instruction(*instr);
    if (const auto* inner = std::get_if<ir::program::Loop>(&node.value)) loop(*inner);
    if (const auto* fork = std::get_if<ir::program::Branch>(&node.value)) branch(*fork);
  }
}

void Lowering::loop(const ir::program::Loop& loop) {
  ll::LLVMContext& context = module_.getContext();
  auto* head = ll::BasicBlock::Create(context, "loop", function_);
  auto* body = ll::BasicBlock::Create(context, "body", function_);
  auto* done = ll::BasicBlock::Create(context, "done", function_);
  const Value end = operand(loop.end);
  put(loop.counter, operand(loop.begin));
  b_.CreateBr(head);
  b_.SetInsertPoint(head);
  b_.CreateCondBr(b_.CreateICmpSLT(get(loop.counter), end), body, done);
  b_.SetInsertPoint(body);
  block(loop.body);
  put(loop.counter, b_.CreateAdd(get(loop.counter), b_.getInt64(static_cast<uint64_t>(loop.step))));
  b_.CreateBr(head);
  b_.SetInsertPoint(done);
}

void Lowering::branch(const ir::program::Branch& branch) {
  ll::LLVMContext& context = module_.getContext();
  auto* then = ll::BasicBlock::Create(context, "then", function_);
  auto* otherwise = ll::BasicBlock::Create(context, "else", function_);
  auto* join = ll::BasicBlock::Create(context, "join", function_);
  b_.CreateCondBr(compare(branch.compare, get(branch.left), operand(branch.right)), then,
                  otherwise);
  b_.SetInsertPoint(then);
  block(branch.then);
  b_.CreateBr(join);
  b_.SetInsertPoint(otherwise);
  block(branch.otherwise);
  b_.CreateBr(join);
  b_.SetInsertPoint(join);
}

void Lowering::instruction(const Instr& instr) {
  const bool done = scalar(instr) || memory(instr) || arithmetic(instr) || lanes(instr);
  assert(done && "every instruction of the table is lowered");
  (void)done;
}

bool Lowering::scalar(const Instr& instr) {
  const auto a = [&] { return get(instr.src[0]); };
  const auto b = [&] { return operand(instr.scalar); };
  const auto imm = [&] { return b_.getInt64(static_cast<uint64_t>(instr.imm)); };
  const auto choose = [&](ll::Intrinsic::ID id) { return b_.CreateBinaryIntrinsic(id, a(), b()); };
  switch (instr.op) {
    case Op::sconst: put(instr.dst, imm()); return true;
    case Op::smov: put(instr.dst, a()); return true;
    case Op::sadd: put(instr.dst, b_.CreateAdd(a(), b())); return true;
    case Op::ssub: put(instr.dst, b_.CreateSub(a(), b())); return true;
    case Op::smul: put(instr.dst, b_.CreateMul(a(), b())); return true;
    case Op::smin: put(instr.dst, choose(ll::Intrinsic::smin)); return true;
    case Op::smax: put(instr.dst, choose(ll::Intrinsic::smax)); return true;
    case Op::sand: put(instr.dst, b_.CreateAnd(a(), b())); return true;
    case Op::sshl: put(instr.dst, b_.CreateShl(a(), imm())); return true;
    case Op::sshr: put(instr.dst, b_.CreateAShr(a(), imm())); return true;
    case Op::sdiv: put(instr.dst, b_.CreateSDiv(a(), b())); return true;
    case Op::sbits:
      put(instr.dst, b_.CreateZExt(as(a(), b_.getIntNTy(n_)), b_.getInt64Ty()));
      return true;
    case Op::slane: {
      const Value lane =
          b_.CreateExtractElement(i32(instr.src[0]), static_cast<uint64_t>(instr.imm));
      put(instr.dst, b_.CreateSExt(lane, b_.getInt64Ty()));
      return true;
    }
    case Op::pmov: put(instr.dst, address(instr.address)); return true;
    case Op::pmisaligned:
      put(instr.dst, b_.CreateAnd(b_.CreatePtrToInt(a(), b_.getInt64Ty()),
                                  b_.getInt64(static_cast<uint64_t>(instr.imm) - 1)));
      return true;
    default: return false;
  }
}

ll::AllocaInst*& Lowering::slot(Reg reg) { return slots_[static_cast<size_t>(reg.cls)][reg.id]; }

ll::Value* Lowering::get(Reg reg) {
  ll::AllocaInst* alloca = slot(reg);
  return b_.CreateLoad(alloca->getAllocatedType(), alloca);
}

void Lowering::put(Reg reg, Value value) {
  b_.CreateStore(reg.cls == RegClass::vector ? as(value, floats_) : value, slot(reg));
}

ll::Value* Lowering::operand(const ir::program::Operand& operand) {
  return operand.is_imm() ? b_.getInt64(static_cast<uint64_t>(operand.imm)) : get(operand.reg);
}

ll::Value* Lowering::compare(Compare compare, Value left, Value right) {
  switch (compare) {
    case Compare::lt: return b_.CreateICmpSLT(left, right);
    case Compare::le: return b_.CreateICmpSLE(left, right);
    case Compare::eq: return b_.CreateICmpEQ(left, right);
    case Compare::ne: return b_.CreateICmpNE(left, right);
    case Compare::ge: return b_.CreateICmpSGE(left, right);
    case Compare::gt: return b_.CreateICmpSGT(left, right);
  }
  return nullptr;
}

ll::Value* Lowering::intrinsic(ll::Intrinsic::ID id, std::initializer_list<Value> arguments) {
  return b_.CreateIntrinsic(id, {}, ll::ArrayRef<Value>(arguments.begin(), arguments.size()));
}

ll::Intrinsic::ID Lowering::pick(ll::Intrinsic::ID sse, support::IsaMask sse_needs,
                                 ll::Intrinsic::ID avx, support::IsaMask avx_needs,
                                 ll::Intrinsic::ID avx512) const {
  if (n_ == 4 && x86(sse_needs)) return sse;
  if (n_ == 8 && x86(avx_needs)) return avx;
  if (n_ == 16 && x86_512()) return avx512;
  return ll::Intrinsic::not_intrinsic;
}

}  // namespace lathe::codegen::llvm

  mov rcx, qword ptr [rdi]
  mov rdx, qword ptr [rdi + 8]
  mov rax, qword ptr [rdi + 16]
  movss xmm0, dword ptr [rip+C0]
  mov rsi, rax
  test rsi, rsi
  jle L2
L0:
  xor eax, eax
  nop word ptr [rax + rax]
  nop word ptr [rax + rax]
  nop word ptr [rax + rax]
  nop dword ptr [rax]
L1:
  movaps xmm1, xmm0
  mulss xmm1, dword ptr [rcx + 4*rax]
  addss xmm1, dword ptr [rdx + 4*rax]
  movss dword ptr [rdx + 4*rax], xmm1
  add rax, 1
  cmp rax, 4
  jl L1
  add rcx, 16
  add rdx, 16
  dec rsi
  jne L0
L2:
  ret

  mov rcx, qword ptr [rdi]
  mov rdx, qword ptr [rdi + 8]
  mov rax, qword ptr [rdi + 16]
  movaps xmm0, xmmword ptr [rip+C0]
  mov rsi, rax
  test rsi, rsi
  jle L2
L0:
  xor eax, eax
L1:
  movups xmm1, xmmword ptr [rdx + 4*rax]
  movups xmm2, xmmword ptr [rcx + 4*rax]
  mulps xmm2, xmm0
  addps xmm2, xmm1
  movups xmmword ptr [rdx + 4*rax], xmm2
  add rax, 4
  cmp rax, 12
  jl L1
  movss xmm1, dword ptr [rdx + 48]
  movss xmm2, dword ptr [rcx + 48]
  mulps xmm2, xmm0
  addps xmm2, xmm1
  movss dword ptr [rdx + 48], xmm2
  add rcx, 52
  add rdx, 52
  dec rsi
  jne L0
L2:
  ret

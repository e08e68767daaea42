  mov rcx, qword ptr [rdi]
  mov rdx, qword ptr [rdi + 8]
  mov rax, qword ptr [rdi + 16]
  vbroadcastss ymm0, dword ptr [rip+C0]
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
  vmovups ymm1, ymmword ptr [rcx + 4*rax]
  vfmadd213ps ymm1, ymm0, ymmword ptr [rdx + 4*rax]
  vmovups ymmword ptr [rdx + 4*rax], ymm1
  add rax, 8
  cmp rax, 24
  jl L1
  vmovss xmm1, dword ptr [rdx + 96]
  vmovss xmm2, dword ptr [rcx + 96]
  vfmadd231ps ymm1, ymm2, ymm0
  vmovss dword ptr [rdx + 96], xmm1
  add rcx, 100
  add rdx, 100
  dec rsi
  jne L0
L2:
  vzeroupper
  ret

  mov rcx, qword ptr [rdi]
  mov rdx, qword ptr [rdi + 8]
  mov rax, qword ptr [rdi + 16]
  vbroadcastss zmm0, dword ptr [rip+C0]
  mov rsi, rax
  test rsi, rsi
  jle L2
L0:
  xor eax, eax
  nop word ptr [rax + rax]
  nop word ptr [rax + rax]
  nop word ptr [rax + rax]
  nop
L1:
  vmovups zmm1, zmmword ptr [rcx + 4*rax]
  vfmadd213ps zmm1, zmm0, zmmword ptr [rdx + 4*rax]
  vmovups zmmword ptr [rdx + 4*rax], zmm1
  add rax, 16
  cmp rax, 48
  jl L1
  mov eax, 1
  kmovw k1, eax
  vmovups zmm1 {k1} {z}, zmmword ptr [rdx + 192]
  mov eax, 1
  kmovw k1, eax
  vmovups zmm2 {k1} {z}, zmmword ptr [rcx + 192]
  vfmadd231ps zmm1, zmm2, zmm0
  mov eax, 1
  kmovw k1, eax
  vmovups zmmword ptr [rdx + 192] {k1}, zmm1
  add rcx, 196
  add rdx, 196
  dec rsi
  jne L0
L2:
  vzeroupper
  ret

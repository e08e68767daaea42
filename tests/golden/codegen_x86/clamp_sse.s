  mov rcx, qword ptr [rdi]
  mov rdx, qword ptr [rdi + 8]
  mov rax, qword ptr [rdi + 16]
  movaps xmm0, xmmword ptr [rip+C0]
  cmp rax, 4
  jl L0
  pmovsxbd xmm2, dword ptr [rcx]
  jmp L3
L0:
  lea rsi, [rcx]
  xorps xmm2, xmm2
  test eax, 1
  je L1
  mov rdi, rax
  and rdi, -2
  pinsrb xmm2, byte ptr [rsi + rdi], 0
L1:
  test eax, 2
  je L2
  mov rdi, rax
  and rdi, -4
  pslldq xmm2, 2
  xorps xmm1, xmm1
  pinsrw xmm1, word ptr [rsi + rdi], 0
  orps xmm2, xmm1
L2:
  pmovsxbd xmm2, xmm2
L3:
  movaps xmm3, xmm0
  pcmpgtd xmm3, xmm2
  pcmpeqd xmm1, xmm1
  xorps xmm3, xmm1
  xorps xmm0, xmm2
  andps xmm0, xmm3
  xorps xmm0, xmm2
  cmp rax, 4
  jl L4
  movaps xmm1, xmm0
  packssdw xmm1, xmm1
  packuswb xmm1, xmm1
  movss dword ptr [rdx], xmm1
  jmp L6
L4:
  movaps xmm1, xmm0
  packssdw xmm1, xmm1
  packuswb xmm1, xmm1
  lea rcx, [rdx]
  test eax, 2
  je L5
  pextrw word ptr [rcx], xmm1, 0
  add rcx, 2
  psrldq xmm1, 2
L5:
  test eax, 1
  je L6
  pextrb byte ptr [rcx], xmm1, 0
L6:
  ret

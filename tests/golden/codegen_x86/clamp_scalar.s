  mov rcx, qword ptr [rdi]
  mov rdx, qword ptr [rdi + 8]
  mov rax, qword ptr [rdi + 16]
  movss xmm0, dword ptr [rip+C0]
  xorps xmm1, xmm1
  test rax, rax
  je L0
  xorps xmm1, xmm1
  pinsrb xmm1, byte ptr [rcx], 0
  pmovsxbd xmm1, xmm1
L0:
  movaps xmm3, xmm0
  pcmpgtd xmm3, xmm1
  pcmpeqd xmm2, xmm2
  xorps xmm3, xmm2
  xorps xmm0, xmm1
  andps xmm0, xmm3
  xorps xmm0, xmm1
  test rax, rax
  je L1
  movaps xmm1, xmm0
  packssdw xmm1, xmm1
  packuswb xmm1, xmm1
  pextrb byte ptr [rdx], xmm1, 0
L1:
  ret

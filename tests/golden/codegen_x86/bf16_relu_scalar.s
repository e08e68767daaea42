  mov rax, qword ptr [rdi]
  movss xmm0, dword ptr [rip+C0]
  movss xmm1, dword ptr [rip+C1]
  movss xmm2, dword ptr [rip+C2]
  xorps xmm3, xmm3
  xorps xmm4, xmm4
  pinsrw xmm4, word ptr [rax], 0
  pslld xmm4, 16
  maxss xmm3, xmm4
  movaps xmm4, xmm3
  psrld xmm4, 16
  andps xmm4, xmm0
  paddd xmm1, xmm3
  paddd xmm1, xmm4
  psrld xmm1, 16
  cmpunordss xmm3, xmm3
  xorps xmm2, xmm1
  andps xmm2, xmm3
  xorps xmm2, xmm1
  movaps xmm0, xmm2
  packusdw xmm0, xmm0
  pextrw word ptr [rax], xmm0, 0
  ret

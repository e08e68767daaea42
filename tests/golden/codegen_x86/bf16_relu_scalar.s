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
  andps xmm0, xmm4
  paddd xmm1, xmm3
  paddd xmm1, xmm0
  psrld xmm1, 16
  orps xmm4, xmm2
  cmpunordss xmm3, xmm3
  xorps xmm4, xmm1
  andps xmm4, xmm3
  xorps xmm4, xmm1
  movaps xmm0, xmm4
  packusdw xmm0, xmm0
  pextrw word ptr [rax], xmm0, 0
  ret

  mov rax, qword ptr [rdi]
  movaps xmm0, xmmword ptr [rip+C0]
  movaps xmm1, xmmword ptr [rip+C1]
  movaps xmm2, xmmword ptr [rip+C2]
  xorps xmm3, xmm3
  pmovzxwd xmm4, qword ptr [rax]
  pslld xmm4, 16
  maxps xmm3, xmm4
  movaps xmm4, xmm3
  psrld xmm4, 16
  andps xmm4, xmm0
  paddd xmm1, xmm3
  paddd xmm1, xmm4
  psrld xmm1, 16
  cmpunordps xmm3, xmm3
  xorps xmm2, xmm1
  andps xmm2, xmm3
  xorps xmm2, xmm1
  movaps xmm0, xmm2
  packusdw xmm0, xmm0
  movq qword ptr [rax], xmm0
  ret

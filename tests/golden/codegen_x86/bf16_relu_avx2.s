  mov rax, qword ptr [rdi]
  vbroadcastss ymm0, dword ptr [rip+C0]
  vbroadcastss ymm1, dword ptr [rip+C1]
  vbroadcastss ymm2, dword ptr [rip+C2]
  vxorps xmm3, xmm3, xmm3
  vpmovzxwd ymm4, xmmword ptr [rax]
  vpslld ymm4, ymm4, 16
  vmaxps ymm3, ymm3, ymm4
  vpsrld ymm4, ymm3, 16
  vandps ymm4, ymm4, ymm0
  vpaddd ymm1, ymm3, ymm1
  vpaddd ymm1, ymm1, ymm4
  vpsrld ymm1, ymm1, 16
  vcmpunordps ymm3, ymm3, ymm3
  vblendvps ymm3, ymm1, ymm2, ymm3
  vextracti128 xmm0, ymm3, 1
  vpackusdw xmm0, xmm3, xmm0
  vmovups xmmword ptr [rax], xmm0
  vzeroupper
  ret

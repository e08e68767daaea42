  mov rax, qword ptr [rdi]
  vbroadcastss zmm0, dword ptr [rip+C0]
  vbroadcastss zmm1, dword ptr [rip+C1]
  vbroadcastss zmm2, dword ptr [rip+C2]
  vxorps xmm3, xmm3, xmm3
  vpmovzxwd zmm4, ymmword ptr [rax]
  vpslld zmm4, zmm4, 16
  vmaxps zmm3, zmm3, zmm4
  vpsrld zmm4, zmm3, 16
  vpandd zmm4, zmm4, zmm0
  vpaddd zmm1, zmm3, zmm1
  vpaddd zmm1, zmm1, zmm4
  vpsrld zmm1, zmm1, 16
  vcmpunordps k1, zmm3, zmm3
  vblendmps zmm2 {k1}, zmm1, zmm2
  vpxord zmm0, zmm0, zmm0
  vpmaxsd zmm0, zmm0, zmm2
  vpmovusdw ymmword ptr [rax], zmm0
  vzeroupper
  ret

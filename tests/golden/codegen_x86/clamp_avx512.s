  mov rcx, qword ptr [rdi]
  mov rdx, qword ptr [rdi + 8]
  mov rax, qword ptr [rdi + 16]
  vbroadcastss zmm0, dword ptr [rip+C0]
  mov esi, 4294967295
  bzhi esi, esi, eax
  kmovw k1, esi
  vpmovsxbd zmm1 {k1} {z}, xmmword ptr [rcx]
  vpcmpnltd k1, zmm1, zmm0
  vblendmps zmm0 {k1}, zmm1, zmm0
  mov ecx, 4294967295
  bzhi ecx, ecx, eax
  kmovw k1, ecx
  vpxord zmm1, zmm1, zmm1
  vpmaxsd zmm1, zmm1, zmm0
  vpmovusdb xmmword ptr [rdx] {k1}, zmm1
  vzeroupper
  ret

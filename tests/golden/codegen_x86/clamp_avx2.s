  mov rcx, qword ptr [rdi]
  mov rdx, qword ptr [rdi + 8]
  mov rax, qword ptr [rdi + 16]
  vbroadcastss ymm0, dword ptr [rip+C0]
  cmp rax, 8
  jl L0
  vpmovsxbd ymm2, qword ptr [rcx]
  jmp L4
L0:
  lea rsi, [rcx]
  vxorps xmm2, xmm2, xmm2
  test eax, 1
  je L1
  mov rdi, rax
  and rdi, -2
  vpinsrb xmm2, xmm2, byte ptr [rsi + rdi], 0
L1:
  test eax, 2
  je L2
  mov rdi, rax
  and rdi, -4
  vpslldq xmm2, xmm2, 2
  vxorps xmm1, xmm1, xmm1
  vpinsrw xmm1, xmm1, word ptr [rsi + rdi], 0
  vorps xmm2, xmm2, xmm1
L2:
  test eax, 4
  je L3
  mov rdi, rax
  and rdi, -8
  vpslldq xmm2, xmm2, 4
  vmovss xmm1, dword ptr [rsi + rdi]
  vorps xmm2, xmm2, xmm1
L3:
  vpmovsxbd ymm2, xmm2
L4:
  vpcmpgtd ymm3, ymm0, ymm2
  vpcmpeqd ymm1, ymm1, ymm1
  vxorps ymm3, ymm3, ymm1
  vblendvps ymm3, ymm2, ymm0, ymm3
  cmp rax, 8
  jl L5
  vextracti128 xmm0, ymm3, 1
  vpackssdw xmm0, xmm3, xmm0
  vpackuswb xmm0, xmm0, xmm0
  vmovq qword ptr [rdx], xmm0
  jmp L8
L5:
  vextracti128 xmm0, ymm3, 1
  vpackssdw xmm0, xmm3, xmm0
  vpackuswb xmm0, xmm0, xmm0
  lea rcx, [rdx]
  test eax, 4
  je L6
  vmovss dword ptr [rcx], xmm0
  add rcx, 4
  vpsrldq xmm0, xmm0, 4
L6:
  test eax, 2
  je L7
  vpextrw word ptr [rcx], xmm0, 0
  add rcx, 2
  vpsrldq xmm0, xmm0, 2
L7:
  test eax, 1
  je L8
  vpextrb byte ptr [rcx], xmm0, 0
L8:
  vzeroupper
  ret

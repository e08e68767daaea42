# softmax over a row that is in L1 after the first pass: maximum, e^(x - maximum) and its sum, scaling; one
# vector of each pass. The row's own reductions and its one division are left out.
# Why no less: the argument must be kept where 2^n exists (one comparison, for x - maximum <= 0); one FMA and one subtraction round to
# a multiple of 1/8, one FMA takes it away; the rest, |r| <= ln2/16, needs a cubic (three FMAs; a quadratic
# leaves 3e-6); the table of 2^(i/8) needs a look-up, a shift and an addition, and 2^n e^r is
# 2^n + (2^n r) q(r): a multiplication and the last FMA.
loop maximum
vmaxps       ymm0, ymm0, [rsi+rcx] ; minmax
loop exponential
vmovups      ymm0, [rsi+rcx]       ; load
vsubps       ymm0, ymm0, ymm6      ; add
vmaxps       ymm0, ymm7, ymm0      ; minmax
vmovaps      ymm1, ymm0            ; move
vfmadd213ps  ymm1, ymm9, ymm10     ; fma
vsubps       ymm2, ymm1, ymm10     ; add
vfnmadd231ps ymm0, ymm2, ymm11     ; fma
vpermps      ymm3, ymm1, [rip+t]   ; lookup
vpslld       ymm1, ymm1, 20        ; shift
vpaddd       ymm1, ymm1, ymm3      ; ialu
vbroadcastss ymm4, [rip+c3]        ; load
vfmadd213ps  ymm4, ymm0, ymm13     ; fma
vfmadd213ps  ymm4, ymm0, ymm14     ; fma
vmulps       ymm0, ymm0, ymm1      ; mul
vfmadd213ps  ymm0, ymm4, ymm1      ; fma
vaddps       ymm5, ymm5, ymm0      ; add
vmovups      [rdi+rcx], ymm0       ; store
loop scaling
vmulps       ymm0, ymm8, [rdi+rcx] ; mul
vmovups      [rdi+rcx], ymm0       ; store

# gelu (tanh): y = x / (1 + 2^(-x (a + b x^2))), one vector. The tanh form is a logistic function of twice
# its argument: no tanh, no quotient of its own. The exponent x (a + b x^2) is never formed: the FMAs that
# round it and take the rounded part away multiply by x.
# Why no less: the argument must be kept where 2^n exists (two comparisons); one FMA and one subtraction round to
# a multiple of 1/8, one FMA takes it away; the rest, |r| <= ln2/16, needs a cubic (three FMAs; a quadratic
# leaves 3e-6); the table of 2^(i/8) needs a look-up, a shift and an addition; the sum 1 + 2^n 2^r
# is one FMA, the quotient one division.
vmovups      ymm5, [rsi+rcx]      ; load
vmaxps       ymm6, ymm5, ymm7      ; minmax
vminps       ymm6, ymm6, ymm8      ; minmax
vmulps       ymm0, ymm6, ymm6      ; mul
vbroadcastss ymm2, [rip+w1]        ; load
vfmadd213ps  ymm2, ymm0, [rip+w0]  ; fma
vmovaps      ymm1, ymm10           ; move
vfnmadd231ps ymm1, ymm6, ymm2      ; fma
vsubps       ymm3, ymm1, ymm10     ; add
vfmadd213ps  ymm6, ymm2, ymm3      ; fma
vpermps      ymm3, ymm1, [rip+t]   ; lookup
vpslld       ymm1, ymm1, 20        ; shift
vpaddd       ymm1, ymm1, ymm3      ; ialu
vbroadcastss ymm4, [rip+c3]        ; load
vfmadd213ps  ymm4, ymm6, ymm13     ; fma
vfmadd213ps  ymm4, ymm6, ymm14     ; fma
vfmadd213ps  ymm4, ymm6, ymm15     ; fma
vfmadd213ps  ymm1, ymm4, ymm15     ; fma
vdivps       ymm0, ymm5, ymm1      ; div
vmovups      [rdi+rcx], ymm0      ; store

# swiglu: y = silu(g) * u, one vector: silu and a multiplication.
# Why no less: the argument must be kept where 2^n exists (two comparisons); one FMA and one subtraction round to
# a multiple of 1/8, one FMA takes it away; the rest, |r| <= ln2/16, needs a cubic (three FMAs; a quadratic
# leaves 3e-6); the table of 2^(i/8) needs a look-up, a shift and an addition; the sum 1 + 2^n e^r
# is one FMA, the quotient one division.
vmovups      ymm5, [rsi+rcx]      ; load
vmaxps       ymm0, ymm5, ymm7      ; minmax
vminps       ymm0, ymm0, ymm8      ; minmax
vmovaps      ymm1, ymm0            ; move
vfmadd213ps  ymm1, ymm9, ymm10     ; fma
vsubps       ymm2, ymm1, ymm10     ; add
vfmadd231ps  ymm0, ymm2, ymm11     ; fma
vpermps      ymm3, ymm1, [rip+t]   ; lookup
vpslld       ymm1, ymm1, 20        ; shift
vpaddd       ymm1, ymm1, ymm3      ; ialu
vbroadcastss ymm4, [rip+c3]        ; load
vfmadd213ps  ymm4, ymm0, ymm13     ; fma
vfmadd213ps  ymm4, ymm0, ymm14     ; fma
vfmadd213ps  ymm4, ymm0, ymm15     ; fma
vfmadd213ps  ymm1, ymm4, ymm15     ; fma
vdivps       ymm0, ymm5, ymm1      ; div
vmulps       ymm0, ymm0, [rdx+rcx] ; mul
vmovups      [rdi+rcx], ymm0      ; store

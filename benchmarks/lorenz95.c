// Fused Lorenz95 (RK4): vectors over 32 members, all steps of a block in the L1 cache.
// The peer of benchmarks/lorenz95.py; gcc -O3 -march=native -ffast-math.
#include <string.h>
#define LANES 32

#define FUSED(T, NAME)                                                                            \
  static void NAME##_ring(T (*x)[LANES], int n) {                                                 \
    memcpy(x[0], x[n], 2 * sizeof(x[0]));                                                         \
    memcpy(x[n + 2], x[2], sizeof(x[0]));                                                         \
  }                                                                                               \
  static inline void NAME##_stage(T (*restrict x)[LANES], T (*s)[LANES], T (*restrict y)[LANES],  \
                                  T (*restrict sum)[LANES], int n, T f, T step, T weight,         \
                                  int first) {                                                    \
    for (int i = 0; i < n; i++)                                                                   \
      for (int m = 0; m < LANES; m++) {                                                           \
        T k = (s[i + 3][m] - s[i][m]) * s[i + 1][m] - s[i + 2][m] + f;                            \
        y[i + 2][m] = x[i + 2][m] + step * k;                                                     \
        sum[i + 2][m] = (first ? x[i + 2][m] : sum[i + 2][m]) + weight * k;                       \
      }                                                                                           \
    NAME##_ring(y, n);                                                                            \
  }                                                                                               \
  void NAME(T *state, long rows, int n, long steps, T f, T dt) {                                  \
    T x[n + 3][LANES], a[n + 3][LANES], b[n + 3][LANES], sum[n + 3][LANES];                       \
    for (long r = 0; r < rows; r += LANES) {                                                      \
      int lanes = rows - r < LANES ? (int)(rows - r) : LANES;                                     \
      for (int i = 0; i < n; i++)                                                                 \
        for (int m = 0; m < LANES; m++) x[i + 2][m] = state[(r + m % lanes) * n + i];             \
      NAME##_ring(x, n);                                                                          \
      for (long s = 0; s < steps; s++) {                                                          \
        NAME##_stage(x, x, a, sum, n, f, dt / 2, dt / 6, 1);                                      \
        NAME##_stage(x, a, b, sum, n, f, dt / 2, dt / 3, 0);                                      \
        NAME##_stage(x, b, a, sum, n, f, dt, dt / 3, 0);                                          \
        for (int i = 0; i < n; i++)                                                               \
          for (int m = 0; m < LANES; m++) {                                                       \
            T k = (a[i + 3][m] - a[i][m]) * a[i + 1][m] - a[i + 2][m] + f;                        \
            x[i + 2][m] = sum[i + 2][m] + dt / 6 * k;                                             \
          }                                                                                       \
        NAME##_ring(x, n);                                                                        \
      }                                                                                           \
      for (int m = 0; m < lanes; m++)                                                             \
        for (int i = 0; i < n; i++) state[(r + m) * n + i] = x[i + 2][m];                         \
    }                                                                                             \
  }

FUSED(float, advance_float32)
FUSED(double, advance_float64)

/* The shallow-water step of kernels/shallow_water.py in C: EEN, biharmonic, SSP-RK3. Fused: each row
 * of the right-hand side is made from a ring of row buffers, and a stage is one sweep over memory.
 * gcc -O3 -march=native -ffast-math -shared -fPIC -DN=64 -DT=float */
#include <stdlib.h>
#include <string.h>
#ifndef N
#define N 64
#endif
#ifndef T
#define T float
#endif
#define P (N + 2)
#define ROWS (N + 2)
typedef T field[ROWS][P];
typedef struct { field u, v, e; } state;
typedef T ring[4][P]; /* the rows of a temporary that are still wanted: row j stands at j & 3 */

static void walls(state *restrict s, T slip) {
  for (int j = 1; j <= N; j++) {
    s->u[j][1] = s->u[j][N + 1] = 0;
    s->v[j][0] = slip * s->v[j][1], s->v[j][N + 1] = slip * s->v[j][N];
    s->e[j][0] = s->e[j][1], s->e[j][N + 1] = s->e[j][N];
  }
  for (int i = 0; i < P; i++) {
    s->u[0][i] = slip * s->u[1][i], s->u[N + 1][i] = slip * s->u[N][i];
    s->v[1][i] = s->v[N + 1][i] = 0;
    s->e[0][i] = s->e[1][i], s->e[N + 1][i] = s->e[N][i];
  }
}

static void stage(const state *restrict x, const state *restrict base, state *restrict out,
                  const field *restrict depth, const T *restrict f, const field *restrict stress,
                  const T *restrict c, T slip, T old, T new) {
  const T dt = c[0], per_dx = c[1], gravity = c[2], drag = c[3], nu2 = c[4], nu4 = c[5];
  static __thread ring h, q, b, mu, mv, lu, lv;
  for (int i = 0; i < P; i++) h[0][i] = (*depth)[0][i] + x->e[0][i];
  for (int j = 1; j <= N + 1; j++) {
    T *restrict hj = h[j & 3], *restrict hs = h[(j - 1) & 3], *restrict qj = q[j & 3];
    T *restrict muj = mu[j & 3], *restrict mvj = mv[j & 3], *restrict bj = b[j & 3];
    T *restrict luj = lu[j & 3], *restrict lvj = lv[j & 3];
    const T *restrict u = x->u[j], *restrict us = x->u[j - 1], *restrict v = x->v[j];
    const T *restrict vs = x->v[j - 1], *restrict e = x->e[j];
    for (int i = 0; i < P; i++) hj[i] = (*depth)[j][i] + e[i];
    for (int i = 1; i <= N + 1; i++) {
      muj[i] = (T)0.5 * u[i] * (hj[i] + hj[i - 1]);
      mvj[i] = (T)0.5 * v[i] * (hj[i] + hs[i]);
      T zeta = per_dx * ((v[i] - v[i - 1]) - (u[i] - us[i]));
      qj[i] = (f[j] + zeta) / ((T)0.25 * (hj[i] + hj[i - 1] + hs[i] + hs[i - 1]));
    }
    mvj[0] = 0;
    if (j <= N) {
      const T *restrict un = x->u[j + 1], *restrict vn = x->v[j + 1];
      for (int i = 1; i <= N; i++) {
        bj[i] = gravity * e[i] +
                (T)0.25 * (u[i] * u[i] + u[i + 1] * u[i + 1] + v[i] * v[i] + vn[i] * vn[i]);
        luj[i] = u[i - 1] + u[i + 1] + us[i] + un[i] - 4 * u[i];
        lvj[i] = v[i - 1] + v[i + 1] + vs[i] + vn[i] - 4 * v[i];
      }
      luj[1] = luj[N + 1] = 0;
      if (j == 1) {
        for (int i = 0; i < P; i++) lu[0][i] = slip * luj[i], lvj[i] = 0;
      }
      lvj[0] = slip * lvj[1], lvj[N + 1] = slip * lvj[N];
    } else {
      for (int i = 0; i < P; i++) luj[i] = slip * lu[N & 3][i], lvj[i] = 0;
    }
    if (j == 1) continue;
    /* Row r = j - 1 has all its neighbours now. */
    const int r = j - 1;
    const T *restrict q0 = q[r & 3], *restrict qn = qj, *restrict qs = q[(r - 1) & 3];
    const T *restrict v0 = mv[r & 3], *restrict m0 = mu[r & 3], *restrict ms = mu[(r - 1) & 3];
    const T *restrict b0 = b[r & 3], *restrict bs = b[(r - 1) & 3], *restrict h0 = h[r & 3];
    const T *restrict hb = h[(r - 1) & 3], *restrict l0 = lu[r & 3], *restrict ln = luj;
    const T *restrict ls = lu[(r - 1) & 3], *restrict k0 = lv[r & 3], *restrict ks = lv[(r - 1) & 3];
    const T *restrict xu = x->u[r], *restrict xv = x->v[r], *restrict xe = x->e[r];
    const T *restrict pu = base->u[r], *restrict pv = base->v[r], *restrict pe = base->e[r];
    const T *restrict su = stress[0][r], *restrict sv = stress[1][r];
    T *restrict ou = out->u[r], *restrict ov = out->v[r], *restrict oe = out->e[r];
    for (int i = 1; i <= N; i++) {
      T flux = (T)(1. / 12) * ((q0[i] + qn[i]) * (v0[i] + v0[i - 1] + mvj[i] + mvj[i - 1]) +
                               q0[i + 1] * v0[i] + qn[i + 1] * mvj[i] + q0[i - 1] * v0[i - 1] +
                               qn[i - 1] * mvj[i - 1]);
      T lap2 = l0[i - 1] + l0[i + 1] + ls[i] + ln[i] - 4 * l0[i];
      T rate = flux + 2 * su[i] / (h0[i] + h0[i - 1]) - per_dx * (b0[i] - b0[i - 1]) -
               drag * xu[i] + nu2 * l0[i] - nu4 * lap2;
      ou[i] = old * pu[i] + new * (xu[i] + dt * rate);
    }
    if (r > 1)
      for (int i = 1; i <= N; i++) {
        T flux = (T)(1. / 12) * ((q0[i] + q0[i + 1]) * (m0[i] + m0[i + 1] + ms[i] + ms[i + 1]) +
                                 qn[i] * m0[i] + qn[i + 1] * m0[i + 1] + qs[i] * ms[i] +
                                 qs[i + 1] * ms[i + 1]);
        T lap2 = k0[i - 1] + k0[i + 1] + ks[i] + lvj[i] - 4 * k0[i];
        T rate = -flux + 2 * sv[i] / (h0[i] + hb[i]) - per_dx * (b0[i] - bs[i]) - drag * xv[i] +
                 nu2 * k0[i] - nu4 * lap2;
        ov[i] = old * pv[i] + new * (xv[i] + dt * rate);
      }
    for (int i = 1; i <= N; i++) {
      T rate = per_dx * (m0[i] - m0[i + 1] + v0[i] - mvj[i]);
      oe[i] = old * pe[i] + new * (xe[i] + dt * rate);
    }
  }
  walls(out, slip);
}

static void fill(const T *restrict from, field *restrict to) {
  for (int j = 0; j < N; j++) memcpy((*to)[j + 1] + 1, from + j * N, N * sizeof(T));
}

/* numbers: dt, 1/dx, g', r, nu2/dx^2, nu4/dx^4 */
void advance(T *restrict rows, const T *restrict forces, const T *restrict depth,
             const T *restrict coriolis, const T *restrict numbers, long count, long steps, T slip) {
  state *s = calloc(4, sizeof(state));
  field *fixed = calloc(3, sizeof(field));
  T f[N + 2] = {0};
  memcpy(f + 1, coriolis, (N + 1) * sizeof(T));
  fill(depth, &s[3].e), walls(&s[3], slip), memcpy(fixed, &s[3].e, sizeof(field));
  for (long row = 0; row < count; row++) {
    T *here = rows + row * 3 * N * N;
    state *x = &s[0], *y = &s[1], *z = &s[2], *swap;
    fill(forces + row * 2 * N * N, fixed + 1), fill(forces + (row * 2 + 1) * N * N, fixed + 2);
    fill(here, &x->u), fill(here + N * N, &x->v), fill(here + 2 * N * N, &x->e), walls(x, slip);
    for (long k = 0; k < steps; k++) {
      stage(x, x, y, fixed, f, fixed + 1, numbers, slip, 0, 1);
      stage(y, x, z, fixed, f, fixed + 1, numbers, slip, (T)0.75, (T)0.25);
      stage(z, x, y, fixed, f, fixed + 1, numbers, slip, (T)(1. / 3), (T)(2. / 3));
      swap = x, x = y, y = swap;
    }
    for (int j = 0; j < N; j++) {
      memcpy(here + j * N, x->u[j + 1] + 1, N * sizeof(T));
      memcpy(here + (N + j) * N, x->v[j + 1] + 1, N * sizeof(T));
      memcpy(here + (2 * N + j) * N, x->e[j + 1] + 1, N * sizeof(T));
    }
  }
  free(s), free(fixed);
}

/*
** hello.c -- neap from C, without Lua: two energies composed, sampled, and their moments printed.
**
**   cc hello.c -o hello $(pkg-config --cflags --libs neap) && ./hello
**
** A product of two normals is a normal again: precisions add, and means are weighted by precision.  So the sum
** of the energies N(0, 1) and N(3, ½²) has mean 2.4 and standard deviation 0.447, which the samples must show.
*/
#include <neap.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ½ ((x − mean)/std)², x [B, 1] */
static neap_energy *normal (neap_context *c, double mean, double std) {
  neap_tensor *m = neap_full(c, NEAP_FLOAT64, 1, (int64_t[]){ 1 }, mean);
  return neap_energy_gaussian(c, m, NULL, NULL, neap_scalar(c, NEAP_FLOAT64, std));
}

/* mean and standard deviation over all draws */
static bool moments (neap_context *c, neap_tensor *draws, double *mean, double *std) {
  return neap_item(c, neap_mean(c, draws, -1, NULL, false), mean)
      && neap_item(c, neap_std(c, draws, -1, NULL, false, true), std);
}

static bool run (neap_context *c) {
  neap_energy *parts[2] = { normal(c, 0, 1), normal(c, 3, .5) };
  neap_energy *E = neap_energy_sum(c, 2, parts);
  neap_sampler *mala = neap_sampler_mala(c, .15);
  neap_sample_config cfg = { .chains = 500, .steps = 400, .warmup = 100 };
  neap_sample_info info;
  double mean = NAN, std = NAN;
  bool ok = E && mala && moments(c, neap_sampler_sample(c, mala, E, &cfg, &info), &mean, &std);
  if (ok) printf("mean %.3f (exact 2.400)  std %.3f (exact %.3f)  accepted %.2f\n", mean, std, sqrt(.2), info.accept_rate);
  neap_sampler_release(mala);
  neap_energy_release(E);
  neap_energy_release(parts[0]);
  neap_energy_release(parts[1]);
  return ok && fabs(mean - 2.4) < .02 && fabs(std - sqrt(.2)) < .02;
}

int main (void) {
  neap_context *c = neap_open(&(neap_config){ .seed = 1 });
  if (!c) return EXIT_FAILURE;
  bool ok = run(c);
  if (neap_status_of(c) != NEAP_OK) fprintf(stderr, "hello: %s\n", neap_error(c));
  neap_close(c);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

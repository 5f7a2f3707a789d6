/* planted.c -- the shape rule and kernel of planted.def. */
#include "op.h"
#include <string.h>

bool infer_planted_shape (neap_call *k, neap_meta *out);
bool run_planted_shape (neap_call *k, neap_tensor *out);

bool infer_planted_shape (neap_call *k, neap_meta *out) {
  out->dtype = k->in[0]->dtype;
  out->ndim = 2;
  out->shape[0] = k->in[0]->shape[1];
  out->shape[1] = k->in[0]->shape[0];
  return true;
}

bool run_planted_shape (neap_call *k, neap_tensor *out) {
  neap_tensor *x = neap_contiguous_data(k->c, k->in[0]);
  if (!x) return false;
  memcpy(neap_ptr(out), neap_ptr(x), (size_t)neap_numel(x) * neap_dtype_size(x->dtype));
  return true;
}

/*
** cat.h -- cat planned once and run many times, where that is copying pieces of memory.
** Invariant: what comes out is what the row cat gives, to the bit.
*/
#ifndef NEAP_OPS_CAT_H
#define NEAP_OPS_CAT_H

#include "op.h"

/* rows of so many bytes, each made of a piece of every operand; rows = 0: nothing is planned */
typedef struct cat_rows { int64_t rows; size_t bytes; } cat_rows;

/* Of a call of cat after its infer, into `out`: operands are row-major, and there are few elements; false: it is not
** that.  Elements need not be there yet. */
bool cat_plan (const neap_call *k, const neap_tensor *out, cat_rows *p);
void cat_run (const cat_rows *p, const neap_call *k, const neap_tensor *out);

#endif

/*
** neap_programs.h -- a function of tensors, recorded once and run as one native loop.
** Included by neap_models.h.  Recording executes the function on examples and notes every op and draw.  What it reads
** besides its inputs is frozen: tensors by reference (their elements are read anew at each run), all else by value.
** A function that looks at values, writes in place or does something else at every call cannot be recorded.
*/
#ifndef NEAP_PROGRAMS_H
#define NEAP_PROGRAMS_H

typedef struct neap_program neap_program;    /* counted */

enum { NEAP_PROGRAM_TENSORS = 128 };          /* inputs and outputs at most */

/* Sets out[0 .. *nout), lent by the open scope, made from in.  False, with an error in c: it failed. */
typedef bool (*neap_program_fn) (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out);

/* Records fn, which is called two to five times.  in: n examples; inputs whose first dimension is as long as that of
** the first one with dimensions carry rows, and where the function treats these alike they are run in blocks.
** NULL with NEAP_ESTATE and the reason when fn cannot be recorded. */
NEAP_API neap_program *neap_capture (neap_context *c, neap_program_fn fn, void *arg, int n, neap_tensor *const *in);
/* Do n inputs have the dtypes and shapes that p was recorded or confirmed for? */
NEAP_API bool neap_program_fits (const neap_program *p, int n, neap_tensor *const *in);
/* Does p say what fn, its function, does for the rows of in?  Records fn once more and compares, unless that number was
** confirmed before: then p serves it, too.  False without an error: it does not. */
NEAP_API bool neap_program_confirm (neap_context *c, neap_program *p, neap_program_fn fn, void *arg, int n,
                                    neap_tensor *const *in);
NEAP_API int neap_program_outputs (const neap_program *p);                      /* how many tensors fn gave */
/* Runs p: out[neap_program_outputs(p)], lent, not taped.  Draws go on in the streams that fn drew from. */
NEAP_API bool neap_run (neap_context *c, neap_program *p, int n, neap_tensor *const *in, neap_tensor **out);
/* Runs p steps times; output j replaces input j (their shapes and dtypes must agree), further inputs stay.  Rows run in
** blocks, each through many steps before the next.  out as neap_run's after the last step; steps >= 1. */
NEAP_API bool neap_scan (neap_context *c, neap_program *p, int64_t steps, int n, neap_tensor *const *in,
                         neap_tensor **out);
/* As neap_scan, where only the first `carried` outputs replace inputs.  The `each` inputs after those have a row for each
** step along one more dimension, the first: step t sees in[i][t].  Further outputs are stacked in the same way. */
NEAP_API bool neap_scan_over (neap_context *c, neap_program *p, int64_t steps, int carried, int each, int n,
                              neap_tensor *const *in, neap_tensor **out);
NEAP_API neap_program *neap_program_keep (neap_program *p);                     /* one reference more */
NEAP_API void neap_program_release (neap_program *p);                           /* NULL is ignored */
/* The plan as text, as snprintf does: at most room bytes into buf; the length of all of it. */
NEAP_API size_t neap_program_text (neap_program *p, char *buf, size_t room);

#endif

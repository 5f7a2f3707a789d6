-- faults.lua -- faults to plant in the passes of a program, one at a time: each must make the named test fail.
-- A fault is a file of the runtime and edits of it, {what stands there exactly once, what it becomes}; run.lua builds
-- the program with the altered file and runs the test.  When a file changes so that an edit no longer applies, the run
-- says which fault to write anew.

local compile, steps, faults = "program/test_compile.lua", "program/test_steps.lua", "program/test_faults.lua"
local sums, factor, pieces = "program/test_sums.lua", "program/test_factor.lua", "program/test_pieces.lua"
local joint = "program/test_joint.lua"
local draws = "program/test_draws.lua"
local folder = "runtime/program/"
local list = {}

local function fault (name, file, test, ...)
  local where = {file = "tests/" .. test[1], name = test[2]}
  list[#list + 1] = {name = name, file = (file:find("/", 1, true) and "runtime/" or folder) .. file, test = where, edits = {...}}
end

-- ---- rows: sizes in proportion, labels ----

fault("a number that depends on the rows is kept", "rows.c", {faults, "test_numbers_that_depend_on_rows"},
  {" || !same_double(graph_number(&v, 3), three)", ""},
  {"if (a->kind == VALUE_NUMBER && !same_double(graph_number(a, rows), b->number)) return false;", ""})
fault("cumsum along rows is labelled as along each row", "label.c", {faults, "test_sums_along_rows"},
  {[["cat cumsum unslice")) return dim_spares(n, x, axis, 1);]], [["cat cumsum unslice")) return true;]]})
fault("logsumexp over rows is labelled as of each row", "label.c", {faults, "test_reductions_over_rows"},
  {"return !axes[axis];", "return true;"},
  {"if (seen >= 0 && axis < 0) return AXIS_MIXED;", ""})
fault("rows read a block's part of a sum", "label.c", {faults, "test_products_of_rows"},
  {"if (after) return seen >= 0 || axis >= 0 ? AXIS_MIXED : AXIS_AFTER;", "if (after && axis < 0) return AXIS_AFTER;"})
fault("every block reads the first rows of a tensor", "label.c", {faults, "test_tensors_as_long_as_the_rows"},
  {" || (axis >= 0 && r->strides[axis].n != 0)", ""})
fault("a function is not recorded at its own number of rows", "capture.c", {faults, "test_functions_that_count_rows"},
  {"if (g && !confirmed(c, w, g))", "if (0)"})

fault("rows of a draw's operand are not looked at", "label.c", {draws, "test_eager_and_recorded_bernoulli_reshaped"},
  {"(from != AXIS_SHARED && from != axis)", "0"})
fault("integers up to as many as rows are drawn by block", "label.c", {draws, "test_eager_and_recorded_randint_rows"},
  {"|| n->attr_rows ||", "||"})
fault("rows are permuted by block", "label.c", {draws, "test_eager_and_recorded_randperm_of_rows"},
  {"axis > 0 || whole ||", "axis > 0 || (0 && whole) ||"})

-- ---- common subexpressions, identities, hoisting ----

fault("two draws are merged", "simplify.c", {compile, "test_two_draws_are_two"},
  {"a->op != b->op || a->op < 0 ||", "a->op != b->op ||"})
fault("ops with different attributes are merged", "simplify.c", {faults, "test_equal_ops_with_other_attributes"},
  {"if (a->has_attrs) {", "if (0) {"})
fault("operands in another order are merged", "simplify.c", {faults, "test_equal_ops_with_other_operands"},
  {"if (!graph_same_ref(graph_in(g, a, i), graph_in(g, b, i))) return false;", ""},
  {"h = (h * 31 + (uint64_t)r->value) * 31 + (uint64_t)r->offset.n;", "(void)r;"})
fault("a value of rows is hoisted", "simplify.c", {faults, "test_values_of_rows_are_not_hoisted"},
  {"g->values[i].kind == VALUE_LEAF || g->values[i].kind == VALUE_NUMBER;", "g->values[i].kind != VALUE_NODE;"},
  {"bool ok = n->attr_rows == 0 && !has_rows(&out);", "bool ok = true;"})
fault("a sum of so many as there are rows is hoisted", "simplify.c", {sums, "test_what_is_the_same_for_all_rows"},
  {" && !has_rows(graph_in(g, n, i));", ";"})
fault("a draw is hoisted", "simplify.c", {faults, "test_draws_are_not_hoisted"},
  {"if (n->op < 0) return false;", ""})

fault("1 / x is x", "simplify.c", {faults, "test_identities"},
  {"for (int i = n->op == NEAP_OP_mul ? 0 : 1; i < 2; i++)", "for (int i = 0; i < 2; i++)"})
fault("an output that shows an input is not copied", "simplify.c", {faults, "test_outputs_that_show_inputs"},
  {"if (g->values[r.value].kind != VALUE_INPUT) continue;", "continue;"})

fault("what is seen in parts is made for one row alone", "simplify.c", {faults, "test_broadcasts_seen_in_parts"},
  {"stands_still(g, n, d) && all_uses_whole(g, n->out)", "stands_still(g, n, d)"})
fault("a node stands before its last operand", "order.c", {faults, "test_nodes_after_their_operands"},
  {"if (w->seen[i] <= n->n)", "if (w->seen[i] < n->n)"})

-- ---- loops over tiles ----

fault("a loop reads another place of what it makes", "fuse.c", {faults, "test_loops_read_their_own_place"},
  {"(at == k && !graph_is_whole(g, r))", "(0)"})
fault("a node runs before its operands", "fuse.c", {faults, "test_nodes_after_their_operands"},
  {"if (at > k ||", "if ("},
  {"k > made; k--", "k >= 0; k--"})
fault("what each step makes joins a loop that is hoisted", "fuse.c", {faults, "test_loops_of_what_is_hoisted"},
  {"in->phases != out->phases ||", ""})
fault("a slot is free one step too early", "fuse.c", {faults, "test_slots_of_a_loop"},
  {"busy_until[slot] = last[i];", "busy_until[slot] = last[i] - 1;"})
fault("a value that others read is kept in the cache", "fuse.c", {faults, "test_values_between_loops"},
  {"if (v->kind == VALUE_NODE && (at < 0 || p->instr_of[v->maker] != at))", "if (v->kind == VALUE_NODE && at < 0)"})

-- ---- memory ----

fault("memory is used again one instruction too early", "plan.c", {faults, "test_lifetimes"},
  {"if (o->to < l.from ||", "if (o->to <= l.from ||"})
fault("an output's memory is used again", "plan.c", {faults, "test_lifetimes_of_outputs"},
  {"use(s, g->refs[g->outputs + i].value, p->ninstrs);", ";"})
fault("the memory of what is hoisted is used again", "plan.c", {faults, "test_lifetimes_of_hoisted_values"},
  {"always ? f->p->ninstrs : s[v].last", "s[v].last"},
  {"bool always = val->kind == VALUE_INPUT || val->fixed;", "bool always = val->kind == VALUE_INPUT;"})

-- ---- leaves, numbers, programs found again ----

fault("a leaf is not bound again", "capture.c", {steps, "test_numbers_tensors_flags_and_fields_are_seen"},
  {"v->store = from->store;", "from->store = from->store;"},
  {"from->store = old;", ""})
fault("a number is not bound again", "capture.c", {steps, "test_numbers_tensors_flags_and_fields_are_seen"},
  {"v->number = from->number;", ""})
fault("a count of calls is taken for a number of rows", "capture.c",
  {sums, "test_counters_in_steps_are_no_numbers_of_rows"}, {"(!asks_again || holds_at(c, w, g, w->rows))", "true"},
  {"(!counts || holds_at(c, w, g, AGAIN)) &&", ""})
fault("a random stream is not bound again", "capture.c", {faults, "test_streams_are_bound_again"},
  {"to->rng[i] = g->rng[i];", ""},
  {"g->rng[i] = old;", ""})
fault("programs are found without their attributes", "graph.c", {faults, "test_programs_that_differ_in_attributes"},
  {"if (!ok || !n->has_attrs) return ok;", "return ok;"})
fault("a transposed weight is copied once and never again", "scan.c",
  {steps, "test_parameters_written_in_place_are_seen"},
  {"if (!p->prologue && !(p->prologue = frame_new(p, 1, PHASE_ONCE, false))) return false;",
   "if (p->prologue) return true;\n  if (!(p->prologue = frame_new(p, 1, PHASE_ONCE, false))) return false;"})
fault("the tile of a repeated row is gathered once and never again", "scan.c",
  {faults, "test_tiles_of_leaves_are_gathered_again"},
  {"  frame_refresh(f);\n", "  if (!f->p->prologue->busy) frame_refresh(f);\n"},
  {"  return true;\n}\n\n/* ---- one block", "  r->p->prologue->busy = true;\n  return true;\n}\n\n/* ---- one block"})

-- ---- running ----

fault("every block draws the numbers of the first", "execute.c", {faults, "test_draws_of_blocks"},
  {"first + f->row0 * s->width", "first"})
fault("every step draws the numbers of the first", "execute.c", {faults, "test_draws_of_steps"},
  {"r->step[node->rng] + t * f->p->g->draws[node->rng]", "r->step[node->rng]"})
fault("all draws of a step are the first", "execute.c", {compile, "test_two_draws_are_two"},
  {" + (uint64_t)node->draw;", ";"})
fault("streams do not move on", "scan.c", {compile, "test_draws_go_on"},
  {"s.step += (uint64_t)r->steps * g->draws[i];", ""})
fault("what a step gives is not carried", "scan.c", {faults, "test_energies_after_several_calls"},
  {"r->carry[j] >= 0 && r->p->g->values[r->carry[j]].used", "r->carry[j] >= 0 && !r->p->g->values[r->carry[j]].used"})
fault("what the next step needs is left to the last", "scan.c", {faults, "test_what_a_step_needs_runs_in_each"},
  {"for (int j = 0; j < n->n; j++) want(p, graph_in(g, n, j)->value);", ""})
fault("the last step begins where the one before began", "scan.c", {compile, "test_scan"},
  {"if (t + 1 < r->steps) carry(f);", "if (t + 2 < r->steps) carry(f);"})

fault("an input is read where the last run's lay", "scan.c", {faults, "test_identities"},
  {"f->stores[i].data = from;", "f->stores[i].data = f->stores[i].data ? f->stores[i].data : from;"})

-- ---- sums ----

fault("a matrix that is read both ways is turned", "turn.c", {sums, "test_products_that_are_read_transposed"},
  {"t.turned > 0 && t.other == 0", "t.turned > 0"})
fault("a product's operands stay in their order", "turn.c", {sums, "test_products_that_are_read_transposed"},
  {"in[0] = in[1];\n    in[1] = x;", "(void)x;"})
fault("products of different operands are factored", "factor.c", {factor, "test_matrices"},
  {"return graph_same_ref(graph_in(g, p, j), graph_in(g, q, k)) && graph_same_shape", "return graph_same_shape"})
fault("the wrong term of a sum goes", "factor.c", {factor, "test_matrices"},
  {"*graph_in(g, n, 1 - t.slot)", "*graph_in(g, n, t.slot)"})
fault("the other operand's place is lost", "factor.c", {factor, "test_matrices"},
  {"j ? total : same, j ? same : total", "total, same"})

fault("pieces with gaps are put side by side", "pieces.c", {pieces, "test_other_pieces_are_added"},
  {"if (s->list[i].first != next) return false;", ""}, {"return next == s->size + 1;", "return true;"})
fault("pieces stay in the order of the sum", "pieces.c", {pieces, "test_pieces_that_fill_a_dimension"},
  {"qsort(s->list, (size_t)s->n, sizeof *s->list, by_place);", "(void)by_place;"},
  {"if (s->list[i].first != next) return false;", ""})
fault("every other element counts as the next one", "pieces.c", {pieces, "test_other_pieces_are_added"},
  {" || n->a.i[2] != 1", ""}, {"if (s->list[i].first != next) return false;", ""})
fault("dimensions before those that are kept are summed as the last", "ops/reduce_run.c",
  {sums, "test_sums_over_any_dimensions"}, {"ok = ok && (axis || !summed);", ""})
fault("each row of a cat begins where the first does", "ops/index.c", {pieces, "test_pieces_that_fill_a_dimension"},
  {"to + (size_t)r * p->bytes", "to + (size_t)r * piece"})

fault("a product that others read too is made where it is added", "contract.c", {factor, "test_products_that_are_added"},
  {" && uses[r->value] == 1 &&", " &&"})
fault("products of what was computed are fused", "contract.c", {factor, "test_products_that_cancel"},
  {"g->values[graph_in(g, n, 1 - slot)->value].kind == VALUE_NODE || ", ""})
fault("what a call reads stays in registers", "joint.c", {joint, "test_what_others_read_float32"},
  {"(is_result(w, k) || !s[k].store)", "true"})
fault("what a later step reads stays in registers", "joint.c", {joint, "test_what_others_read_float32"},
  {"(is_result(w, k) || !is_read(all, n, b + w->n, b + k))", "true"})
fault("a product of anything passes for x times its sigmoid", "joint.c", {joint, "test_what_others_read_float32"},
  {" && has == *first_read(w, s, from)", ""})
fault("results of one pass share memory", "fuse.c", {joint, "test_float32"},
  {"last[i] = reader > end - 1 ? reader : end - 1;", "last[i] = reader;"})
fault("silu's slope is another", "expand.c", {"program/test_ops.lua", "test_compiled_equals_eager_float32"},
  {"first = lerp(b, s, number(b, &x, 1), y)", "first = lerp(b, s, number(b, &x, 0), y)"})
fault("all rows of a product in pieces are the first", "ops/matmul.c", {"ops/test_linalg.lua", "test_products_in_pieces"},
  {"x + (p->xt ? i : i * p->ldx)", "x"})
fault("what a step adds is not there for the next", "sampler/program.c", {steps, "test_entries_that_a_step_adds"},
  {"k->adds = adds_entries(k, s);", "k->adds = false;"})
fault("sums of a step are factored", "simplify.c", {factor, "test_steps_stay"}, {"bool found = !g->scans;", "bool found = true;"})

fault("a product that others read too is added to", "join.c", {sums, "test_products_that_are_added"},
  {" || uses(g, r->value) != 1", ""})
fault("what a product is added to is used again before", "plan.c", {sums, "test_products_that_are_added"},
  {"if (s[v].first > at) s[v].first = at;", "s[v].first = at;"})
fault("a product is not added to what is there", "execute.c", {sums, "test_products_that_are_added"},
  {"in->product ? matmul_run(&in->plan, in->adds)", "in->product ? matmul_run(&in->plan, false)"})
fault("a product is added in a lane's later blocks alone", "execute.c", {sums, "test_products_that_are_added"},
  {"in->adds || !f->first", "!f->first"})
fault("a lane begins with what the last run left there", "execute.c", {sums, "test_products_of_rows"},
  {"in->adds || !f->first", "true"})
fault("a lane keeps its last block's sum alone", "execute.c", {sums, "test_sums_of_every_kind"},
  {"if (!f->first) frame_add(", "if (!f->first && f->row0 < 0) frame_add("},
  {"f->first || in->product ? lane : spill;", "lane;"})
fault("the last lane is not added", "scan.c", {sums, "test_sums_of_every_kind"},
  {"for (int64_t l = 1; l < r->nlanes; l++)", "for (int64_t l = 1; l + 1 < r->nlanes; l++)"})
fault("sums are added up before they are all made", "label.c", {sums, "test_sums_of_every_kind"},
  {"v->axis == AXIS_AFTER ? PHASE_AFTER :", "v->axis == AXIS_AFTER ? PHASE_BLOCK | PHASE_AFTER :"})

-- ---- found by sweeps ----

fault("a constant without elements is no constant", "trace.c",
  {"program/test_ops.lua", "test_compiled_equals_eager_float32"},
  {"if (neap_numel(x) == 0) { trace_number(c, x, 0); return; }", ""})
fault("a derivative draws what comes next", "compiled_tape.c", {"program/test_random.lua", "test_differentiated"},
  {"neap_rng_set(s->rng[i], s->at[i]);", ""})

return list

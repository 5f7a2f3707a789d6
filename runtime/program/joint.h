/*
** joint.h -- steps of a group that one kernel makes in one pass.
** Invariant: joint_find sees operands as sources and steps, joint_set as slots.
*/
#ifndef NEAP_PROGRAM_JOINT_H
#define NEAP_PROGRAM_JOINT_H

#include "program/frame.h"

/* Marks the first of each joint's steps, before the group's results have slots. */
void joint_find (neap_program *p, const instr *in);
/* How many steps are one pass from this one on; 1: it is by itself. */
int joint_length (const group_step *s);
/* A frame's step s becomes the joint, if any, that begins there. */
void joint_set (const neap_program *p, frame_step *s, const group_step *of);

#endif

/* neap_files.h -- reading and writing files.  Included by neap.h.  Everything fails with NEAP_EIO and a message that names the path. */
#ifndef NEAP_FILES_H
#define NEAP_FILES_H

#endif

// Owner, permissions, times, extended attributes and ACLs of a copy.
#pragma once

#include <sys/stat.h>

namespace madang::files {

// What a copy takes over from its source besides content.
struct Preserve {
  bool mode = false;  // and ACLs
  bool ownership = false;
  bool timestamps = false;
  bool links = false;  // files that are one stay one
  bool xattrs = false;
  bool xattrs_required = false;  // it is an error where they can't be

  bool any_attribute() const { return mode || ownership || timestamps || xattrs; }
};

// What went wrong; `action` is null when nothing did.
struct AttributeError {
  const char* action = nullptr;
  int error = 0;
};

// Of a regular file or a directory, both open; the times come last, so that they tell that the rest is
// done. `source_fd` is -1 where it may not be read; `inherits_acl`: the copy has got an ACL from its
// directory, which has to go.
AttributeError copy_attributes(int source_fd, int target_fd, const struct stat& source,
                               const Preserve& preserve, bool inherits_acl);

// Of anything else, by its name; a symbolic link is not followed.
AttributeError copy_attributes_at(int target_dir_fd, const char* name, const struct stat& source,
                                  const Preserve& preserve);

// Permissions of what is neither a link nor can be opened, if it is still of that kind. 0 or an errno.
int set_mode_at(int dir_fd, const char* name, mode_t kind, mode_t mode);

// Whether what is made in a directory gets an ACL from it.
bool has_default_acl(int directory_fd);

}  // namespace madang::files

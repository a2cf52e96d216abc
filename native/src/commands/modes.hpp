// Modes and owners as people read them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace madang::commands {

// "rwxr-xr-x"
std::string mode_letters(mode_t mode);

// "0755"
std::string mode_octal(mode_t mode);

// From a name or a number; empty if there is no such.
std::optional<uid_t> find_user(const std::string& name);
std::optional<gid_t> find_group(const std::string& name);

// The group a user has at login.
std::optional<gid_t> login_group(uid_t user);

}  // namespace madang::commands

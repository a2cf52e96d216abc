// ACLs as text ("user::rw-,user:lee:r--,..."), as tar archives have them, and as the kernel takes them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace madang::files {

// The extended attributes in which the kernel keeps them.
inline constexpr const char* kAccessAclAttribute = "system.posix_acl_access";
inline constexpr const char* kDefaultAclAttribute = "system.posix_acl_default";

// `name_of(id, is_user)` gives a name, or "" for the number. Empty when `value` is none.
std::string acl_to_text(std::string_view value,
                        const std::function<std::string(unsigned id, bool is_user)>& name_of);

// The other way; `id_of(name, is_user)` gives a number, or -1. Empty when the text is damaged.
std::string acl_from_text(std::string_view text,
                          const std::function<long(const std::string& name, bool is_user)>& id_of);

}  // namespace madang::files

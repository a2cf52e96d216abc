#include "modes.hpp"

#include <grp.h>
#include <pwd.h>

#include <cstdio>
#include <cstdlib>

#include "../files/text.hpp"

namespace madang::commands {
namespace {

std::optional<unsigned> as_number(const std::string& text) {
  const char* digits = text.c_str() + (text.size() > 1 && text[0] == '+' ? 1 : 0);
  if (*digits < '0' || *digits > '9') return std::nullopt;
  char* end = nullptr;
  const unsigned long long number = std::strtoull(digits, &end, 10);
  if (*end != '\0' || number >= 0xffffffffULL) return std::nullopt;  // the highest means "none"
  return static_cast<unsigned>(number);
}

}  // namespace

std::string mode_letters(mode_t mode) {
  std::string letters;
  files::append_mode(letters, mode);
  return letters.substr(1);  // without the kind
}

std::string mode_octal(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", mode & 07777);
  return text;
}

std::optional<uid_t> find_user(const std::string& name) {
  if (name[0] != '+') {
    if (const passwd* entry = getpwnam(name.c_str())) return entry->pw_uid;
  }
  return as_number(name);
}

std::optional<gid_t> find_group(const std::string& name) {
  if (name[0] != '+') {
    if (const ::group* entry = getgrnam(name.c_str())) return entry->gr_gid;
  }
  return as_number(name);
}

std::optional<gid_t> login_group(uid_t user) {
  const passwd* entry = getpwuid(user);
  return entry ? std::optional<gid_t>(entry->pw_gid) : std::nullopt;
}

}  // namespace madang::commands

#include "modes.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

namespace madang::commands {
namespace {

// getpwuid and its kin are not thread-safe, and slow where names come from a directory server.
template <typename Find>
std::string name_of(unsigned id, std::unordered_map<unsigned, std::string>& known, Find find) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  auto [found, is_new] = known.try_emplace(id);
  if (is_new) {
    const char* name = find(id);
    found->second = name ? name : std::to_string(id);
  }
  return found->second;
}

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
  std::string letters = "rwxrwxrwx";
  for (int i = 0; i < 9; ++i) {
    if (!(mode >> (8 - i) & 1)) letters[i] = '-';
  }
  if (mode & S_ISUID) letters[2] = letters[2] == 'x' ? 's' : 'S';
  if (mode & S_ISGID) letters[5] = letters[5] == 'x' ? 's' : 'S';
  if (mode & S_ISVTX) letters[8] = letters[8] == 'x' ? 't' : 'T';
  return letters;
}

std::string mode_octal(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", mode & 07777);
  return text;
}

std::string user_name(uid_t user) {
  static std::unordered_map<unsigned, std::string> known;
  return name_of(user, known, [](unsigned id) {
    const passwd* entry = getpwuid(id);
    return entry ? entry->pw_name : nullptr;
  });
}

std::string group_name(gid_t group) {
  static std::unordered_map<unsigned, std::string> known;
  return name_of(group, known, [](unsigned id) {
    const ::group* entry = getgrgid(id);
    return entry ? entry->gr_name : nullptr;
  });
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

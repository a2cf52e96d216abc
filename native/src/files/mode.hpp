// Modes as chmod understands them: 644, u=rwX,go=rX, g+s.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

namespace madang::files {

class ModeChange {
 public:
  // `mask` is the umask, for changes that name nobody ("+w"). Empty: `text` is no mode.
  static std::optional<ModeChange> parse(std::string_view text, mode_t mask);
  static ModeChange exactly(mode_t mode);

  // The new permission bits of something that has `old_mode` (with its type).
  mode_t apply(mode_t old_mode) const;

  // Whether `apply` is the same for every file that is no directory, so that it need not be looked at.
  bool ignores_old_mode() const;

 private:
  struct Step {
    char action;                  // + - =
    mode_t who = 0;               // the bits it may touch; 0: nobody was named
    mode_t bits = 0;              // what is added, taken away or set
    mode_t named = 0;             // setuid and setgid of directories change only where named
    int copies_from = -1;         // 6, 3, 0: the bits of user, group or others instead
    bool execute_if_any = false;  // X
  };
  mode_t mask_ = 0;
  std::vector<Step> steps_;
};

}  // namespace madang::files

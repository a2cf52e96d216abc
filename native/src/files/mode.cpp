#include "mode.hpp"

#include <sys/stat.h>

namespace madang::files {
namespace {

constexpr mode_t kSetId = S_ISUID | S_ISGID;
constexpr mode_t kAll = 07777;

mode_t for_everybody(mode_t three_bits) { return three_bits << 6 | three_bits << 3 | three_bits; }

// Reads octal digits at the beginning of `text`, and takes them away.
std::optional<mode_t> take_octal(std::string_view& text) {
  if (text.empty() || text[0] < '0' || text[0] > '7') return std::nullopt;
  mode_t mode = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '7' && mode <= kAll) {
    mode = mode * 8 + static_cast<mode_t>(text[0] - '0');
    text.remove_prefix(1);
  }
  return mode;
}

mode_t take_who(std::string_view& text) {
  mode_t who = 0;
  for (; !text.empty(); text.remove_prefix(1)) {
    switch (text[0]) {
      case 'u': who |= S_ISUID | S_IRWXU; continue;
      case 'g': who |= S_ISGID | S_IRWXG; continue;
      case 'o': who |= S_ISVTX | S_IRWXO; continue;
      case 'a': who |= kAll; continue;
    }
    break;
  }
  return who;
}

bool is_action(char letter) { return letter == '+' || letter == '-' || letter == '='; }

}  // namespace

ModeChange ModeChange::exactly(mode_t mode) {
  ModeChange change;
  change.steps_.push_back({'=', kAll, mode & kAll, kAll});
  return change;
}

// The rules are GNU's (gnulib's modechange.c), to the letter: scripts rely on them.
std::optional<ModeChange> ModeChange::parse(std::string_view text, mode_t mask) {
  ModeChange change;
  change.mask_ = mask;
  const std::size_t digits = text.size();
  if (const auto mode = take_octal(text)) {
    if (!text.empty() || *mode > kAll) return std::nullopt;
    const mode_t named = digits < 5 ? (*mode & kSetId) | (kAll & ~kSetId) : kAll;
    change.steps_.push_back({'=', kAll, *mode, named});
    return change;
  }
  for (;;) {
    const mode_t who = take_who(text);
    if (text.empty() || !is_action(text[0])) return std::nullopt;
    while (!text.empty() && is_action(text[0])) {
      Step step{text[0], who};
      text.remove_prefix(1);
      if (const auto mode = take_octal(text)) {
        if (who != 0 || *mode > kAll) return std::nullopt;
        step.who = step.named = kAll;
        step.bits = *mode;
      } else if (!text.empty() && (text[0] == 'u' || text[0] == 'g' || text[0] == 'o')) {
        step.copies_from = text[0] == 'u' ? 6 : text[0] == 'g' ? 3 : 0;
        text.remove_prefix(1);
      } else {
        for (; !text.empty() && text[0] != ',' && !is_action(text[0]); text.remove_prefix(1)) {
          switch (text[0]) {
            case 'r': step.bits |= for_everybody(4); continue;
            case 'w': step.bits |= for_everybody(2); continue;
            case 'x': step.bits |= for_everybody(1); continue;
            case 'X': step.execute_if_any = true; continue;
            case 's': step.bits |= kSetId; continue;
            case 't': step.bits |= S_ISVTX; continue;
          }
          return std::nullopt;
        }
        step.named = who ? who & step.bits : step.bits;
      }
      change.steps_.push_back(step);
    }
    if (text.empty()) return change;
    if (text[0] != ',') return std::nullopt;
    text.remove_prefix(1);
  }
}

mode_t ModeChange::apply(mode_t old_mode) const {
  const bool is_directory = S_ISDIR(old_mode);
  mode_t mode = old_mode & kAll;
  for (const Step& step : steps_) {
    mode_t bits = step.bits;
    if (step.copies_from >= 0) bits = for_everybody(mode >> step.copies_from & 7);
    if (step.execute_if_any && (is_directory || mode & for_everybody(1))) bits |= for_everybody(1);
    const mode_t untouched = is_directory ? kSetId & ~step.named : 0;
    bits &= (step.who ? step.who : ~mask_) & ~untouched;
    if (step.action == '+') {
      mode |= bits;
    } else if (step.action == '-') {
      mode &= ~bits;
    } else {
      mode = (mode & ((step.who ? ~step.who : 0) | untouched)) | bits;
    }
  }
  return mode;
}

bool ModeChange::ignores_old_mode() const {
  const Step& first = steps_.front();
  const bool sets_all = first.action == '=' && (first.who == kAll || first.who == 0);
  return steps_.size() == 1 && sets_all && first.copies_from < 0 && !first.execute_if_any;
}

}  // namespace madang::files

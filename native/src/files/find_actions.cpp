// The actions of `find`.

#include <unistd.h>

#include <cerrno>

#include "find_expression.hpp"
#include "find_format.hpp"

namespace madang::files {
namespace {

class Action : public Clause {
 public:
  Action() { acts = true; }
};

class Print final : public Action {
 public:
  explicit Print(char end) : end_(end) {}
  bool holds(Found& found) const override {
    found.append_path(found.out);
    found.out.push_back(end_);
    return true;
  }

 private:
  const char end_;
};

class PrintFormat final : public Action {
 public:
  explicit PrintFormat(Format format) : format_(std::move(format)) {}
  bool holds(Found& found) const override {
    const std::size_t before = found.out.size();
    format_.append(found.out, found);
    if (!found.failed()) return true;
    found.out.resize(before);
    return false;
  }

 private:
  const Format format_;
};

class Prune final : public Action {
 public:
  bool holds(Found& found) const override { return found.prune = true; }
};

class Quit final : public Action {
 public:
  bool holds(Found& found) const override {
    found.quit = true;
    return false;
  }
};

class Delete final : public Action {
 public:
  bool holds(Found& found) const override {
    if (found.name() == ".") return true;
    found.lane().request();
    const int flags = found.type() == DT_DIR ? AT_REMOVEDIR : 0;
    if (found.failed()) return false;
    if (unlinkat(found.fd(), found.entry().name, flags) == 0) return true;
    found.fail("cannot delete", errno);
    return false;
  }
};

constexpr const char* kListing = "%9i %6k %M %3n %-8u %-8g %8s ";  // as -ls has it

class List final : public Action {
 public:
  explicit List(Expression& expression)
      : status_(kListing, expression), date_("%Tb %Te %TH:%TM", expression), old_date_("%Tb %Te  %TY", expression) {}

  bool holds(Found& found) const override {
    const struct statx* status = found.status();
    if (!status) return false;
    status_.append(found.out, found);
    const std::int64_t age = time(nullptr) - status->stx_mtime.tv_sec;
    (age >= -3600 && age <= kHalfYear ? date_ : old_date_).append(found.out, found);
    found.out.push_back(' ');
    found.append_path(found.out);
    if (S_ISLNK(status->stx_mode)) found.out.append(" -> ").append(found.link());
    found.out.push_back('\n');
    return true;
  }

 private:
  static constexpr std::int64_t kHalfYear = 6 * 30 * 24 * 3600;
  const Format status_;
  const Format date_;
  const Format old_date_;
};

}  // namespace

int arguments_of_action(std::string_view word) {
  if (word == "-printf") return 1;
  for (const std::string_view known : {"-print", "-print0", "-prune", "-quit", "-delete", "-ls"}) {
    if (word == known) return 0;
  }
  return -1;
}

ClausePointer make_action(const std::string& word, const std::string& argument, Expression& expression) {
  if (word == "-prune") return std::make_unique<Prune>();
  if (word == "-quit") {
    expression.quits = true;
    return std::make_unique<Quit>();
  }
  expression.prints = true;
  if (word == "-print") return std::make_unique<Print>('\n');
  if (word == "-print0") return std::make_unique<Print>('\0');
  if (word == "-printf") return std::make_unique<PrintFormat>(Format(argument, expression));
  if (word == "-ls") return std::make_unique<List>(expression);
  expression.depth_first = true;  // -delete
  return std::make_unique<Delete>();
}

}  // namespace madang::files

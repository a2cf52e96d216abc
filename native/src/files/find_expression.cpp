#include "find_expression.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace madang::files {
namespace {

class All final : public Clause {
 public:
  explicit All(std::vector<ClausePointer> clauses) : clauses_(std::move(clauses)) {}
  bool holds(Found& found) const override {
    for (const ClausePointer& clause : clauses_) {
      if (!clause->holds(found) || found.failed()) return false;
    }
    return true;
  }

 private:
  std::vector<ClausePointer> clauses_;
};

class Any final : public Clause {
 public:
  explicit Any(std::vector<ClausePointer> clauses) : clauses_(std::move(clauses)) {}
  bool holds(Found& found) const override {
    for (const ClausePointer& clause : clauses_) {
      if (clause->holds(found)) return true;
      if (found.failed()) return false;
    }
    return false;
  }

 private:
  std::vector<ClausePointer> clauses_;
};

class Sequence final : public Clause {
 public:
  explicit Sequence(std::vector<ClausePointer> clauses) : clauses_(std::move(clauses)) {}
  bool holds(Found& found) const override {
    bool last = false;
    for (const ClausePointer& clause : clauses_) {
      last = clause->holds(found);
      if (found.failed() || found.quit) return false;
    }
    return last;
  }

 private:
  std::vector<ClausePointer> clauses_;
};

class Opposite final : public Clause {
 public:
  explicit Opposite(ClausePointer clause) : clause_(std::move(clause)) {}
  bool holds(Found& found) const override {
    const bool held = clause_->holds(found);
    return !held && !found.failed() && !found.quit;
  }

 private:
  ClausePointer clause_;
};

template <typename Group>
ClausePointer group(std::vector<ClausePointer> clauses) {
  if (clauses.size() == 1) return std::move(clauses.front());
  int cost = 0;
  bool acts = false;
  for (const ClausePointer& clause : clauses) {
    cost = std::max(cost, clause->cost);
    acts = acts || clause->acts;
  }
  auto made = std::make_unique<Group>(std::move(clauses));
  made->cost = cost;
  made->acts = acts;
  return made;
}

}  // namespace

ClausePointer all(std::vector<ClausePointer> clauses) {
  const auto acts = [](const ClausePointer& clause) { return clause->acts; };
  for (auto begin = clauses.begin(); begin != clauses.end();) {
    const auto end = std::find_if(begin, clauses.end(), acts);
    std::stable_sort(begin, end, [](const ClausePointer& a, const ClausePointer& b) { return a->cost < b->cost; });
    begin = end == clauses.end() ? end : end + 1;
  }
  return group<All>(std::move(clauses));
}

ClausePointer any(std::vector<ClausePointer> clauses) { return group<Any>(std::move(clauses)); }

ClausePointer sequence(std::vector<ClausePointer> clauses) { return group<Sequence>(std::move(clauses)); }

ClausePointer opposite(ClausePointer clause) {
  const int cost = clause->cost;
  const bool acts = clause->acts;
  auto made = std::make_unique<Opposite>(std::move(clause));
  made->cost = cost;
  made->acts = acts;
  return made;
}

// -- what was found ----------------------------------------------------------------------------

void Found::fail(const char* action, int error) {
  failed_ = true;
  search_.failures.add(action, path(), error);
}

const struct statx* Found::status() {
  if (failed_) return nullptr;
  if (!has_status_) {
    lane_.request();
    const int error = status_of(fd_, entry_.name, search_.mask | STATX_TYPE, status_);
    if (error != 0) {
      fail("", error);
      return nullptr;
    }
    has_status_ = true;
  }
  return &status_;
}

unsigned char Found::type() {
  if (entry_.type != DT_UNKNOWN) return entry_.type;
  const struct statx* known = status();
  return known ? type_of(*known) : static_cast<unsigned char>(DT_UNKNOWN);
}

unsigned char Found::target_type(int& error) {
  const unsigned char own = type();
  error = 0;
  if (own != DT_LNK) return own;
  struct statx target;
  lane_.request();
  if (statx(fd_, entry_.name, AT_NO_AUTOMOUNT, STATX_TYPE, &target) == 0) return type_of(target);
  error = errno;
  return DT_UNKNOWN;
}

std::string_view Found::link() {
  if (!link_.empty()) return link_;
  std::vector<char>& buffer = lane_.buffer(4097);
  lane_.request();
  const ssize_t length = readlinkat(fd_, entry_.name, buffer.data(), buffer.size());
  if (length >= 0) {
    link_.assign(buffer.data(), length);
  } else if (errno != EINVAL) {
    fail("", errno);
  }
  return link_;
}

std::string_view Found::name() const {
  std::string_view name = entry_.view();
  if (!is_root()) return name;
  while (name.size() > 1 && name.back() == '/') name.remove_suffix(1);
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos || name.size() == 1 ? name : name.substr(slash + 1);
}

void Found::append_path(std::string& to) const {
  if (!is_root()) {
    to.append(directory_.path());
    if (to.back() != '/') to.push_back('/');
  }
  to.append(entry_.view());
}

const std::string& Found::path() {
  if (path_.empty()) append_path(path_);
  return path_;
}

std::string_view Found::root() const { return is_root() ? entry_.view() : directory_.root_path(); }

std::string_view Found::beneath_root() {
  if (is_root()) return {};
  std::string_view beneath = path();
  beneath.remove_prefix(root().size());
  if (!beneath.empty() && beneath.front() == '/') beneath.remove_prefix(1);
  return beneath;
}

}  // namespace madang::files

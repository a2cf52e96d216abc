#include <cstdlib>
#include <ctime>

#include "find_expression.hpp"

namespace madang::files {
namespace {

class Parser {
 public:
  Parser(const std::vector<std::string>& words, Expression& expression) : words_(words), expression_(expression) {
    clock_gettime(CLOCK_REALTIME, &now_);
  }

  ClausePointer parse() {
    if (words_.empty()) return nullptr;
    ClausePointer clause = parse_sequence();
    if (at_ != words_.size()) throw Misunderstood("there is a ')' too many");
    return clause;
  }

 private:
  bool is(std::string_view word) const { return at_ < words_.size() && words_[at_] == word; }
  bool is_either(std::string_view word, std::string_view other) const { return is(word) || is(other); }

  ClausePointer parse_sequence() {
    std::vector<ClausePointer> clauses;
    clauses.push_back(parse_any());
    for (; is(","); clauses.push_back(parse_any())) ++at_;
    return sequence(std::move(clauses));
  }

  ClausePointer parse_any() {
    std::vector<ClausePointer> clauses;
    clauses.push_back(parse_all());
    for (; is_either("-o", "-or"); clauses.push_back(parse_all())) ++at_;
    return any(std::move(clauses));
  }

  ClausePointer parse_all() {
    std::vector<ClausePointer> clauses;
    clauses.push_back(parse_one());
    while (at_ < words_.size() && !is(")") && !is(",") && !is_either("-o", "-or")) {
      if (is_either("-a", "-and")) ++at_;
      clauses.push_back(parse_one());
    }
    return all(std::move(clauses));
  }

  ClausePointer parse_one() {
    if (at_ == words_.size()) {
      throw Misunderstood(at_ == 0 ? "an expression is missing" : "something is missing after '" + words_[at_ - 1] + "'");
    }
    const std::string word = words_[at_];
    if (word == "!" || word == "-not") {
      ++at_;
      return opposite(parse_one());
    }
    if (word == "(") return parse_group();
    if (word == ")" || word == "," || word == "-o" || word == "-or" || word == "-a" || word == "-and") {
      throw Misunderstood("there is nothing before '" + word + "' that it could be about");
    }
    ++at_;
    return parse_word(word);
  }

  ClausePointer parse_group() {
    ++at_;
    if (is(")")) throw Misunderstood("there is nothing between '(' and ')'");
    ClausePointer clause = parse_sequence();
    if (!is(")")) throw Misunderstood("a ')' is missing");
    ++at_;
    return clause;
  }

  ClausePointer parse_word(const std::string& written) {
    // --name and --name=VALUE are -name.
    std::string word = written.starts_with("--") ? written.substr(1) : written;
    const std::size_t equals = written.starts_with("--") ? word.find('=') : std::string::npos;
    const bool has_value = equals != std::string::npos;
    const std::string value = has_value ? word.substr(equals + 1) : "";
    if (has_value) word.resize(equals);
    const auto argument = [&]() -> std::string {
      if (has_value) return value;
      if (at_ == words_.size()) throw Misunderstood("missing argument to '" + written + "'");
      return words_[at_++];
    };
    if (take_setting(word, argument)) return make_test("-true", "", now_, expression_);
    if (const int count = arguments_of_test(word); count >= 0) {
      return make_test(word, count ? argument() : "", now_, expression_);
    }
    if (const int count = arguments_of_action(word); count >= 0) {
      return make_action(word, count ? argument() : "", expression_);
    }
    refuse(word, written);
  }

  // What holds for the whole search, wherever it is said.
  template <typename Argument>
  bool take_setting(const std::string& word, Argument&& argument) {
    if (word == "-maxdepth" || word == "-mindepth") {
      const std::string number = argument();
      if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos) {
        throw Misunderstood(word + " '" + number + "' is not a whole number of 0 or more");
      }
      const unsigned long depth = std::strtoul(number.c_str(), nullptr, 10);
      (word == "-maxdepth" ? expression_.max_depth : expression_.min_depth) =
          static_cast<unsigned>(std::min<unsigned long>(depth, UINT32_MAX));
    } else if (word == "-exclude") {
      expression_.exclude.push_back(argument());
    } else if (word == "-depth" || word == "-d") {
      expression_.depth_first = true;
    } else if (word == "-xdev" || word == "-mount" || word == "-one-file-system") {
      expression_.one_file_system = true;
    } else if (word == "-daystart") {
      tm today;
      localtime_r(&now_.tv_sec, &today);
      today.tm_hour = today.tm_min = today.tm_sec = 0;
      ++today.tm_mday;  // ages count from the end of today
      now_ = {mktime(&today), 0};
    } else if (word == "-ignore_readdir_race") {
      expression_.reports_vanished = false;
    } else if (word == "-noignore_readdir_race") {
      expression_.reports_vanished = true;
    } else {
      return word == "-noleaf" || word == "-warn" || word == "-nowarn";
    }
    return true;
  }

  [[noreturn]] static void refuse(const std::string& word, const std::string& written) {
    if (word == "-exec" || word == "-execdir" || word == "-ok" || word == "-okdir") {
      throw Misunderstood(word + " is not for a search of many lanes; give the names to xargs: -print0 | xargs -0 COMMAND");
    }
    if (word == "-fprint" || word == "-fprint0" || word == "-fprintf" || word == "-fls") {
      throw Misunderstood(word + " is not known; send the output to a file: > FILE");
    }
    if (word == "-follow") throw Misunderstood("-follow is not known: symbolic links are never followed");
    if (!word.starts_with('-')) {
      throw Misunderstood("paths must precede expression: '" + written + "'");
    }
    throw Misunderstood("unknown predicate '" + written + "'");
  }

  const std::vector<std::string>& words_;
  Expression& expression_;
  timespec now_;
  std::size_t at_ = 0;
};

}  // namespace

Expression parse_expression(const std::vector<std::string>& words) {
  Expression expression;
  expression.clause = Parser(words, expression).parse();
  return expression;
}

}  // namespace madang::files

// How `ls` lays out what is in a directory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../files/directories.hpp"
#include "../files/text.hpp"

namespace madang::commands {

enum class SortBy { name, time, size, extension, none };
enum class Indicator { none, slash, file_type, classify };

struct Layout {
  bool is_long = false;
  bool columns = false;        // else a line each
  bool inode = false;
  bool blocks = false;
  bool owner = true;
  bool group = true;
  bool numeric = false;
  bool quote = false;          // as for a shell, where the output is a terminal
  bool reverse = false;
  bool directories_first = false;
  SortBy sort = SortBy::name;
  Indicator indicator = Indicator::none;
  files::SizeUnit size_unit{};
  files::SizeUnit block_unit{1024};
  std::size_t line_width = 80;
  std::string recent_format = "%b %e %H:%M";
  std::string old_format = "%b %e  %Y";
};

// Formats many directories, on one thread.
class Formatter {
 public:
  Formatter(const Layout& layout, files::IdNames& users, files::IdNames& groups);

  // The order in which rows are shown.
  std::vector<std::uint32_t> order(const files::Rows& rows);
  // The rows that `order` names, as wide as all of them; `total`: with the line of all blocks, where the
  // format has one.
  void append(std::string& out, const files::Rows& rows, const std::vector<std::uint32_t>& order, bool total);
  // What is above a directory's rows.
  void append_header(std::string& out, std::string_view path) const;

 private:
  struct Widths {
    std::size_t inode = 0, blocks = 0, links = 0, owner = 0, group = 0, size = 0, device_major = 0,
                device_minor = 0;
    bool access = false;
    bool quoted = false;  // some name is
  };
  Widths measure(const files::Rows& rows);
  void append_long(std::string& out, const files::Rows& rows, const files::Row& row, const Widths& widths);
  void append_id(std::string& out, files::IdNames& names, std::uint32_t id, std::size_t width);
  void append_when(std::string& out, const files::Row& row);
  void append_front(std::string& out, const files::Row& row, const Widths& widths);
  void append_name(std::string& out, std::string_view name, bool align) const;
  void append_columns(std::string& out, const files::Rows& rows, const std::vector<std::uint32_t>& order,
                      const Widths& widths);
  char indicator(unsigned char type, unsigned mode) const;
  void read_clock();

  const Layout& layout_;
  files::IdNames& users_;
  files::IdNames& groups_;
  files::TimeCache recent_;
  files::TimeCache old_;
  std::size_t time_width_;
  std::int64_t now_s_ = 0;
  std::uint32_t now_ns_ = 0;
};

// Whether a shell would not read `name` as it is; `also` are further bytes that it is quoted for.
bool needs_quotes(std::string_view name, std::string_view also = {});
// Columns that text takes on a terminal.
std::size_t shown_width(std::string_view text);

}  // namespace madang::commands

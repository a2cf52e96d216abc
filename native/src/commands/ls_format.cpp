#include "ls_format.hpp"

#include <dirent.h>
#include <langinfo.h>
#include <sys/stat.h>

#include <algorithm>
#include <clocale>
#include <cstring>
#include <cwchar>
#include <cwctype>
#include <ctime>
#include <numeric>

#include "program.hpp"

namespace madang::commands {
namespace {

using files::Row;
using files::Rows;

constexpr std::int64_t kHalfYear = 31556952 / 2;
constexpr std::size_t kNarrowestColumn = 3;
constexpr std::size_t kTab = 8;

// The first bytes as a number: most comparisons end there.
std::uint64_t leading(std::string_view name) {
  unsigned char bytes[8] = {};
  std::memcpy(bytes, name.data(), std::min<std::size_t>(name.size(), 8));
  std::uint64_t key = 0;
  for (const unsigned char byte : bytes) key = key << 8 | byte;
  return key;
}

bool sorts_by_bytes() {
  const std::string locale = std::setlocale(LC_COLLATE, nullptr);
  return locale == "C" || locale == "POSIX" || locale == "C.UTF-8" || locale == "C.utf8";
}

// By the names, ascending.
void sort_by_name(const Rows& rows, std::vector<std::uint32_t>& order) {
  static const bool by_bytes = sorts_by_bytes();
  if (by_bytes) {
    struct Key {
      std::uint64_t leading;
      std::uint32_t index;
    };
    std::vector<Key> keys;
    keys.reserve(order.size());
    for (const std::uint32_t index : order) keys.push_back({leading(rows.name(rows.rows[index])), index});
    std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
      if (a.leading != b.leading) return a.leading < b.leading;
      return rows.name(rows.rows[a.index]) < rows.name(rows.rows[b.index]);
    });
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = keys[i].index;
    return;
  }
  std::vector<std::string> names;  // strcoll wants a NUL at the end
  names.reserve(rows.rows.size());
  for (const Row& row : rows.rows) names.emplace_back(rows.name(row));
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::strcoll(names[a].c_str(), names[b].c_str()) < 0;
  });
}

std::string_view extension(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot);
}

// By what else was asked for; equals stay as they are, by name.
void sort_by(SortBy sort, const Rows& rows, std::vector<std::uint32_t>& order) {
  const auto stable = [&](auto before) {
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return before(rows.rows[a], rows.rows[b]);
    });
  };
  if (sort == SortBy::size) {
    stable([](const Row& a, const Row& b) { return a.size > b.size; });
  } else if (sort == SortBy::time) {
    stable([](const Row& a, const Row& b) {
      return a.seconds != b.seconds ? a.seconds > b.seconds : a.nanoseconds > b.nanoseconds;
    });
  } else if (sort == SortBy::extension) {
    stable([&](const Row& a, const Row& b) { return extension(rows.name(a)) < extension(rows.name(b)); });
  }
}

void indent(std::string& out, std::size_t from, std::size_t to) {
  while (from < to) {
    if (to / kTab > (from + 1) / kTab) {
      out.push_back('\t');
      from += kTab - from % kTab;
    } else {
      out.push_back(' ');
      ++from;
    }
  }
}

// The widths of `count` columns, or nothing where they are wider than a line.
std::vector<std::size_t> fit(const std::vector<std::size_t>& lengths, std::size_t count, std::size_t line_width) {
  const std::size_t rows = (lengths.size() + count - 1) / count;
  std::vector<std::size_t> widths(count, kNarrowestColumn);
  std::size_t line = count * kNarrowestColumn;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::size_t column = i / rows;
    const std::size_t wanted = lengths[i] + (column == count - 1 ? 0 : 2);
    if (wanted > widths[column]) {
      line += wanted - widths[column];
      widths[column] = wanted;
    }
    if (line >= line_width) return {};
  }
  return widths;
}

}  // namespace

bool needs_quotes(std::string_view name, std::string_view also) {
  if (name.empty() || name.front() == '~' || name.front() == '#') return true;
  if (name == "{" || name == "}") return true;
  for (const unsigned char byte : name) {
    if (byte < 0x20 || byte == 0x7f) return true;
    if (std::strchr(" !\"$&'()*;<=>?[\\^`|", byte)) return true;
    if (also.find(static_cast<char>(byte)) != std::string_view::npos) return true;
  }
  return quoted(name).find('$') != std::string::npos;  // bytes that are no text
}

std::size_t shown_width(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char byte) { return byte >= 0x20 && byte < 0x7f; })) return text.size();
  std::mbstate_t state{};
  std::size_t width = 0;
  while (!text.empty()) {
    wchar_t character;
    std::size_t length = std::mbrtowc(&character, text.data(), text.size(), &state);
    if (length > text.size()) {  // no character, or the beginning of one
      width += 1;
      length = length == static_cast<std::size_t>(-2) ? text.size() : 1;
      state = {};
    } else {
      const int shown = wcwidth(character);
      width += shown >= 0 ? static_cast<std::size_t>(shown) : iswcntrl(character) ? 0 : 1;
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return width;
}

Formatter::Formatter(const Layout& layout, files::IdNames& users, files::IdNames& groups)
    : layout_(layout), users_(users), groups_(groups), recent_(layout.recent_format), old_(layout.old_format) {
  if (!layout.is_long) return;
  read_clock();
  std::string now;
  recent_.append(now, now_s_, now_ns_);
  time_width_ = shown_width(now);
}

void Formatter::read_clock() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  now_s_ = now.tv_sec;
  now_ns_ = static_cast<std::uint32_t>(now.tv_nsec);
}

std::vector<std::uint32_t> Formatter::order(const Rows& rows) {
  std::vector<std::uint32_t> order(rows.rows.size());
  std::iota(order.begin(), order.end(), 0u);
  if (layout_.sort == SortBy::none) return order;
  sort_by_name(rows, order);
  if (layout_.sort != SortBy::name) sort_by(layout_.sort, rows, order);
  if (layout_.reverse) std::reverse(order.begin(), order.end());
  if (layout_.directories_first) {
    std::stable_partition(order.begin(), order.end(), [&](std::uint32_t index) {
      return rows.rows[index].type == DT_DIR || S_ISDIR(rows.rows[index].target_mode);
    });
  }
  return order;
}

Formatter::Widths Formatter::measure(const Rows& rows) {
  Widths widths;
  std::uint64_t most_links = 0, largest = 0, inode = 0, blocks = 0;
  std::uint32_t last_user = 0, last_group = 0, major_number = 0, minor_number = 0;
  bool first = true, devices = false;
  const auto id_width = [](files::IdNames& names, std::uint32_t id) { return shown_width(names.name(id)); };
  for (const Row& row : rows.rows) {
    if (layout_.quote && !widths.quoted) widths.quoted = needs_quotes(rows.name(row));
    if (!row.known) continue;
    inode = std::max(inode, row.inode);
    blocks = std::max(blocks, row.blocks);
    if (layout_.blocks && layout_.block_unit.is_human()) {
      widths.blocks = std::max(widths.blocks, files::size_text(row.blocks * 512, layout_.block_unit).size());
    }
    if (!layout_.is_long) continue;
    widths.access = widths.access || row.access != ' ';
    most_links = std::max<std::uint64_t>(most_links, row.num_links);
    if (first || row.user != last_user) widths.owner = std::max(widths.owner, id_width(users_, row.user));
    if (first || row.group != last_group) widths.group = std::max(widths.group, id_width(groups_, row.group));
    last_user = row.user;
    last_group = row.group;
    first = false;
    if (row.type == DT_CHR || row.type == DT_BLK) {
      devices = true;
      major_number = std::max(major_number, row.device_major);
      minor_number = std::max(minor_number, row.device_minor);
    } else if (layout_.size_unit.is_human()) {
      widths.size = std::max(widths.size, files::size_text(row.size, layout_.size_unit).size());
    } else {
      largest = std::max(largest, row.size);
    }
  }
  widths.inode = files::digits(inode);
  widths.links = files::digits(most_links);
  if (!layout_.block_unit.is_human()) widths.blocks = files::size_text(blocks * 512, layout_.block_unit).size();
  if (!layout_.size_unit.is_human()) widths.size = files::size_text(largest, layout_.size_unit).size();
  if (devices) {
    widths.device_major = files::digits(major_number);
    widths.device_minor = files::digits(minor_number);
    widths.size = std::max(widths.size, widths.device_major + 2 + widths.device_minor);
  }
  return widths;
}

void Formatter::append(std::string& out, const Rows& rows, const std::vector<std::uint32_t>& order, bool total) {
  const Widths widths = measure(rows);
  if (total && (layout_.is_long || layout_.blocks)) {
    std::uint64_t blocks = 0;
    for (const Row& row : rows.rows) blocks += row.blocks;
    out.append("total ");
    files::append_size(out, blocks * 512, layout_.block_unit);
    out.push_back('\n');
  }
  if (layout_.columns && !layout_.is_long) return append_columns(out, rows, order, widths);
  for (const std::uint32_t index : order) {
    const Row& row = rows.rows[index];
    if (layout_.is_long) {
      append_long(out, rows, row, widths);
    } else {
      append_front(out, row, widths);
      append_name(out, rows.name(row), false);
      if (const char mark = indicator(row.type, row.mode)) out.push_back(mark);
    }
    out.push_back('\n');
  }
}

void Formatter::append_header(std::string& out, std::string_view path) const {
  out.append(layout_.quote && needs_quotes(path, ":") ? quoted(path) : std::string(path)).append(":\n");
}

void Formatter::append_front(std::string& out, const Row& row, const Widths& widths) {
  if (layout_.inode) {
    if (row.known && row.inode != 0) {
      files::append_right(out, row.inode, widths.inode);
    } else {
      files::append_right(out, "?", widths.inode);
    }
    out.push_back(' ');
  }
  if (layout_.blocks) {
    files::append_right(out, row.known ? files::size_text(row.blocks * 512, layout_.block_unit) : "?",
                        widths.blocks);
    out.push_back(' ');
  }
}

void Formatter::append_id(std::string& out, files::IdNames& names, std::uint32_t id, std::size_t width) {
  const std::string& name = names.name(id);
  const std::size_t pad = width - std::min(width, shown_width(name));
  const bool right = name.front() >= '0' && name.front() <= '9';  // a number: no name begins so
  if (right) out.append(pad, ' ');
  out.append(name);
  if (!right) out.append(pad, ' ');
  out.push_back(' ');
}

void Formatter::append_when(std::string& out, const Row& row) {
  const auto later_than_now = [&] {
    return row.seconds > now_s_ || (row.seconds == now_s_ && row.nanoseconds > now_ns_);
  };
  if (later_than_now()) read_clock();  // made meanwhile?
  const std::int64_t then = now_s_ - kHalfYear;
  const bool recent = !later_than_now() && (row.seconds > then || (row.seconds == then && row.nanoseconds > now_ns_));
  (recent ? recent_ : old_).append(out, row.seconds, row.nanoseconds);
  out.push_back(' ');
}

void Formatter::append_long(std::string& out, const Rows& rows, const Row& row, const Widths& widths) {
  append_front(out, row, widths);
  if (row.known) {
    files::append_mode(out, row.mode);
  } else {
    std::string mode;
    files::append_mode(mode, static_cast<unsigned>(row.type) << 12);
    out.push_back(mode.front());
    out.append("?????????");
  }
  if (widths.access) out.push_back(row.access);
  out.push_back(' ');
  if (!row.known) {
    files::append_right(out, "?", widths.links);
    out.push_back(' ');
    if (layout_.owner) files::append_left(out, "?", widths.owner), out.push_back(' ');
    if (layout_.group) files::append_left(out, "?", widths.group), out.push_back(' ');
    files::append_right(out, "?", widths.size);
    out.push_back(' ');
    files::append_right(out, "?", time_width_);
    out.push_back(' ');
  } else {
    files::append_right(out, row.num_links, widths.links);
    out.push_back(' ');
    if (layout_.owner) append_id(out, users_, row.user, widths.owner);
    if (layout_.group) append_id(out, groups_, row.group, widths.group);
    if (row.type == DT_CHR || row.type == DT_BLK) {
      const std::size_t both = widths.device_major + 2 + widths.device_minor;
      files::append_right(out, row.device_major, widths.device_major + widths.size - both);
      out.append(", ");
      files::append_right(out, row.device_minor, widths.device_minor);
    } else if (layout_.size_unit.bytes == 1) {
      files::append_right(out, row.size, widths.size);
    } else {
      files::append_right(out, files::size_text(row.size, layout_.size_unit), widths.size);
    }
    out.push_back(' ');
    append_when(out, row);
  }
  append_name(out, rows.name(row), widths.quoted);
  if (row.type == DT_LNK) {
    if (row.link_length == 0) return;
    out.append(" -> ");
    append_name(out, rows.link(row), false);
    if (row.target_mode == 0) return;
    if (const char mark = indicator(row.target_mode >> 12 & 15, row.target_mode)) out.push_back(mark);
  } else if (const char mark = indicator(row.type, row.mode)) {
    out.push_back(mark);
  }
}

void Formatter::append_name(std::string& out, std::string_view name, bool align) const {
  if (layout_.quote) {
    if (needs_quotes(name)) {
      out.append(quoted(name));
      return;
    }
    if (align) out.push_back(' ');
  }
  out.append(name);
}

char Formatter::indicator(unsigned char type, unsigned mode) const {
  if (layout_.indicator == Indicator::none) return 0;
  if (type == DT_DIR) return '/';
  if (layout_.indicator == Indicator::slash) return 0;
  switch (type) {
    case DT_LNK: return '@';
    case DT_FIFO: return '|';
    case DT_SOCK: return '=';
    case DT_REG: return layout_.indicator == Indicator::classify && mode & 0111 ? '*' : 0;
    default: return 0;
  }
}

void Formatter::append_columns(std::string& out, const Rows& rows, const std::vector<std::uint32_t>& order,
                               const Widths& widths) {
  if (order.empty()) return;
  std::vector<std::string> cells;
  std::vector<std::size_t> lengths;
  for (const std::uint32_t index : order) {
    const Row& row = rows.rows[index];
    std::string cell;
    append_front(cell, row, widths);
    append_name(cell, rows.name(row), widths.quoted);
    if (const char mark = indicator(row.type, row.mode)) cell.push_back(mark);
    lengths.push_back(shown_width(cell));
    cells.push_back(std::move(cell));
  }
  std::vector<std::size_t> columns;
  const std::size_t most = std::max<std::size_t>(1, layout_.line_width / kNarrowestColumn);
  for (std::size_t count = std::min(most, cells.size()); columns.empty(); --count) {
    columns = count == 1 ? std::vector<std::size_t>{0} : fit(lengths, count, layout_.line_width);
  }
  const std::size_t num_lines = (cells.size() + columns.size() - 1) / columns.size();
  for (std::size_t line = 0; line < num_lines; ++line) {
    std::size_t at = 0;
    for (std::size_t i = line, column = 0;; ++column) {
      out.append(cells[i]);
      const std::size_t length = lengths[i];
      i += num_lines;
      if (i >= cells.size()) break;
      indent(out, at + length, at + columns[column]);
      at += columns[column];
    }
    out.push_back('\n');
  }
}

}  // namespace madang::commands

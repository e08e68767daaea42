// docs/operations.md: every struct of <lathe/ops.h> with its members, written from the header's
// comments and from the descriptions that fetches follow.
#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "runtime/library/fetch_key.h"
#include "tests/support/golden.h"

namespace lathe::runtime {
namespace {

// --- the header --------------------------------------------------------------------------------

struct Member {
  std::string type, name, value, meaning;
};
struct Struct {
  std::string comment;
  std::vector<Member> members;
};

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? ""
                                    : text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

void join(std::string& to, const std::string& more) {
  if (!to.empty() && !more.empty()) to += ' ';
  to += more;
}

/// "24, section_h = 20": a declaration's members, of which the first one's name is known.
std::vector<std::pair<std::string, std::string>> declared(const std::string& declarators) {
  std::vector<std::pair<std::string, std::string>> found;
  std::istringstream parts(declarators);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equals = part.find('=');
    found.emplace_back(trimmed(part.substr(0, equals)), trimmed(part.substr(equals + 1)));
  }
  return found;
}

/// The structs of the header by name. A comment above a struct without one of its own is that of
/// the struct before it.
std::map<std::string, Struct> read_structs(const std::string& header) {
  const std::regex member_line(R"(  ([A-Za-z_][\w:]*) (\w+ = [^;]+);(?:\s*///< (.*))?)");
  const std::regex struct_line(R"(struct (\w+) \{)"), comment_line(R"(\s*/// ?(.*))");
  std::map<std::string, Struct> structs;
  Struct* open = nullptr;
  std::string comment, last_comment;
  std::istringstream lines(header);
  std::smatch found;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, found, comment_line) && line.find("///<") == std::string::npos) {
      comment += found[1].str() + "\n";
    } else if (open == nullptr && std::regex_match(line, found, struct_line)) {
      if (!comment.empty()) last_comment = comment;
      open = &structs[found[1]];
      open->comment = last_comment;
      comment.clear();
    } else if (open != nullptr && line == "};") {
      open = nullptr;
    } else if (open != nullptr && std::regex_match(line, found, member_line)) {
      std::string meaning;
      std::replace(comment.begin(), comment.end(), '\n', ' ');
      join(meaning, trimmed(comment));
      join(meaning, found[3]);
      for (const auto& [name, value] : declared(found[2]))
        open->members.push_back({found[1], name, value, meaning});
      comment.clear();
    } else if (line.empty() || open == nullptr) {
      comment.clear();
    }
  }
  return structs;
}

/// The names in the tuple of all operations, in its order.
std::vector<std::string> operation_names(const std::string& header) {
  const std::string begin = "std::tuple<";
  const size_t from = header.find(begin, header.find("using Operations")) + begin.size();
  std::string list = header.substr(from, header.find('>', from) - from);
  std::vector<std::string> names;
  const std::regex word(R"(\w+)");
  for (std::sregex_iterator it(list.begin(), list.end(), word), end; it != end; ++it)
    names.push_back(it->str());
  return names;
}

// --- what a member makes of the problem --------------------------------------------------------

/// A family that takes any parameter at its word: what was given stays apart from what follows.
compiler::Family without_rules(const compiler::Family& family) {
  compiler::Family free = family;
  free.validate = nullptr;
  for (compiler::ParameterSpec& spec : free.parameters) {
    spec.required = false;
    spec.default_of.clear();
    spec.low = INT64_MIN;
    spec.high = INT64_MAX;
  }
  return free;
}

template <typename Value>
std::vector<Value> other_values(const Value& value) {
  std::vector<Value> others;
  if constexpr (std::is_same_v<Value, bool>) {
    others = {!value};
  } else if constexpr (std::is_same_v<Value, std::string_view>) {
    others = {"relu(x)", "relu(y)"};
  } else if constexpr (std::is_same_v<Value, DataType>) {
    others = {DataType::f32, DataType::f16, DataType::q8_0};
  } else if constexpr (std::is_enum_v<Value>) {
    for (int number = 0; number < 4; ++number) others.push_back(static_cast<Value>(number));
  } else {
    for (const int number : {0, 1, 3, 32, 4096}) others.push_back(static_cast<Value>(number));
  }
  std::erase(others, value);
  return others;
}

/// Calls visit(name, op) with each member of `op` set to each of some other values.
template <typename Op>
void for_each_change(Op& op, auto&& visit) {
  Description<Op>::fields(op, [&](std::string_view name, const auto& member, const auto&...) {
    auto& value = const_cast<std::remove_cvref_t<decltype(member)>&>(member);
    const auto kept = value;
    for (const auto& other : other_values(kept)) {
      value = other;
      visit(name);
    }
    value = kept;
  });
}

template <typename Op>
class Spelling {
 public:
  /// For each member the parameters that it decides, whatever the other members are.
  static std::map<std::string, std::set<std::string>> of_members() {
    Spelling spelling;
    Op op;
    spelling.add(op);
    for_each_change(op, [&](std::string_view) { spelling.add(op); });
    return spelling.found_;
  }

 private:
  void add(Op op) {
    const compiler::Family family = without_rules(**compiler::find_family(family_name(op)));
    const auto before = problem_of(family, op);
    if (!before) return;
    for_each_change(op, [&](std::string_view name) {
      const auto after = problem_of(family, op);
      if (!after) return;
      for (const compiler::ParameterSpec& spec : family.parameters)
        if (before->value(spec.name) != after->value(spec.name))
          found_[std::string(name)].insert(spec.name);
    });
  }

  static Result<compiler::Problem> problem_of(const compiler::Family& family, const Op& op) {
    detail::ProblemWriter writer(family);
    Description<Op>::fields(op, writer);
    return writer.build();
  }

  std::map<std::string, std::set<std::string>> found_;
};

// --- the page ----------------------------------------------------------------------------------

// A bar would end the table's cell.
std::string cell(const std::string& text) {
  return std::regex_replace(text, std::regex(R"(\|)"), "\\|");
}

template <typename Op>
std::string families_of() {
  std::vector<std::string_view> names;
  if constexpr (requires { Description<Op>::kFamilies; }) {
    names.assign(Description<Op>::kFamilies.begin(), Description<Op>::kFamilies.end());
  } else {
    names = {Description<Op>::kFamily};
  }
  return fmt::format("`{}`", fmt::join(names, "` or `"));
}

template <typename Op>
std::string section(const std::string& name, const Struct& of_header) {
  const auto parameters = Spelling<Op>::of_members();
  std::set<std::string> described, declared_names;
  Description<Op>::fields(Op{}, [&](std::string_view member, const auto&, const auto&... spell) {
    described.emplace(member);
    const auto found = parameters.find(std::string(member));
    EXPECT_NE(found, parameters.end()) << name << "::" << member << " decides no parameter";
    if (sizeof...(spell) == 0 && found != parameters.end()) {
      EXPECT_TRUE(found->second.contains(std::string(member))) << name << "::" << member;
    }
  });
  std::string text = fmt::format(
      "## {}\n\n```text\n{}```\n\nFamily {}.\n\n| member | default | parameters | meaning |\n"
      "|---|---|---|---|\n",
      name, of_header.comment, families_of<Op>());
  for (const Member& member : of_header.members) {
    declared_names.insert(member.name);
    const auto found = parameters.find(member.name);
    const std::string decided =
        found == parameters.end() ? "" : fmt::format("`{}`", fmt::join(found->second, "`, `"));
    text += fmt::format("| `{} {}` | `{}` | {} | {} |\n", member.type, member.name, member.value,
                        decided, cell(member.meaning));
  }
  EXPECT_EQ(declared_names, described) << name;
  return text + "\n";
}

template <typename... Ops>
std::string page(const std::tuple<Ops...>*) {
  const std::string header = tests::read_source("include/lathe/ops.h");
  const std::vector<std::string> names = operation_names(header);
  const std::map<std::string, Struct> structs = read_structs(header);
  std::string text =
      "# Operations\n\n"
      "What `Library::fetch` takes: the structs of `<lathe/ops.h>`. Each member decides the named\n"
      "parameters of the problem that the struct stands for, which [kernels](kernels.md) "
      "explains;\n"
      "a line of C or of a tool names these. `./dev regenerate` writes this page.\n\n";
  if (names.size() != sizeof...(Ops)) return "the tuple of operations was not understood";
  size_t next = 0;
  const auto add = [&]<typename Op>(const Op*) {
    const std::string& name = names[next++];
    const auto found = structs.find(name);
    EXPECT_NE(found, structs.end()) << name << " was not found in the header";
    if (found != structs.end()) text += section<Op>(name, found->second);
  };
  (add(static_cast<const Ops*>(nullptr)), ...);
  text.pop_back();
  return text;
}

TEST(OperationsDocument, IsWhatTheHeaderAndTheDescriptionsSay) {
  EXPECT_TRUE(
      tests::document_is("docs/operations.md", page(static_cast<const Operations*>(nullptr))));
}

TEST(OperationsDocument, MembersOfOneDeclarationAndCommentsAboveAreRead) {
  const auto structs = read_structs(
      "/// What it is.\n/// More.\nstruct A {\n  enum class K : uint8_t {\n    x,  ///< no member\n"
      "  };\n  int64_t n = 0;  ///< a size\n  int a = 1, b = 2;  ///< both\n  /// Above.\n"
      "  K kind = K::x;\n};\nstruct B {\n  bool c = false;\n};\n");
  ASSERT_EQ(structs.size(), 2U);
  const Struct& a = structs.at("A");
  EXPECT_EQ(a.comment, "What it is.\nMore.\n");
  ASSERT_EQ(a.members.size(), 4U);
  EXPECT_EQ(a.members[0].meaning, "a size");
  EXPECT_EQ(a.members[2].name + a.members[2].value + a.members[2].meaning, "b2both");
  EXPECT_EQ(a.members[3].type + a.members[3].meaning, "KAbove.");
  EXPECT_EQ(structs.at("B").comment, a.comment);
}

}  // namespace
}  // namespace lathe::runtime

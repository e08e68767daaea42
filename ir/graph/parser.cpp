// Recursive-descent parser of .lir text; the grammar stands in docs/graph_ir.md.
#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <unordered_map>

#include "ir/graph/lexer.h"
#include "ir/graph/ops.h"
#include "ir/graph/text.h"
#include "ir/graph/verify.h"

namespace lathe::ir::graph {
namespace {

constexpr size_t kMaxValues = size_t{1} << 20;
constexpr size_t kMaxList = 4096;

class Parser {
 public:
  explicit Parser(std::string_view source) : source_(source), lexer_(source) {}

  Result<Graph> run() {
    LATHE_CHECK(advance());
    LATHE_CHECK(keyword("graph"));
    LATHE_TRY(const Token name, word("a name for the graph"));
    graph_.name = name.text;
    LATHE_CHECK(list("(", ")", [&] { return parameter(); }));
    LATHE_CHECK(punctuation("->"));
    const Location outputs_location = token_.location;
    std::vector<Token> outputs;  // resolved at the end: they are defined below
    LATHE_CHECK(list("(", ")", [&]() -> Status {
      LATHE_TRY(outputs.emplace_back(), value("an output such as %y"));
      return {};
    }));
    if (outputs.empty()) {
      return error_at(outputs_location, ErrorCode::parse_error,
                      "found no outputs, expected one or more");
    }
    LATHE_CHECK(punctuation("{"));
    while (!at_punctuation("}")) LATHE_CHECK(statement());
    LATHE_CHECK(punctuation("}"));
    if (token_.kind != TokenKind::end) return unexpected("the end of the text");
    for (const Token& output : outputs) {
      LATHE_TRY(const ValueId id, resolve(output));
      graph_.outputs.push_back(id);
    }
    LATHE_CHECK(verify(graph_));
    return std::move(graph_);
  }

 private:
  // Errors.

  tl::unexpected<Error> error_at(Location location, ErrorCode code, std::string_view message) {
    return fail(code, "{}", point_at(source_, location, message));
  }
  tl::unexpected<Error> unexpected(std::string_view expected) {
    return error_at(token_.location, ErrorCode::parse_error,
                    fmt::format("found {}, expected {}", describe(token_), expected));
  }

  // Tokens.

  Status advance() {
    LATHE_TRY(token_, lexer_.next());
    return {};
  }
  bool at_punctuation(std::string_view text) const {
    return token_.kind == TokenKind::punctuation && token_.text == text;
  }
  Status punctuation(std::string_view text) {
    if (!at_punctuation(text)) return unexpected(fmt::format("'{}'", text));
    return advance();
  }
  Status keyword(std::string_view text) {
    if (token_.kind != TokenKind::word || token_.text != text) {
      return unexpected(fmt::format("'{}'", text));
    }
    return advance();
  }
  Result<Token> take(bool accepted, std::string_view expected) {
    if (!accepted) return unexpected(expected);
    const Token token = token_;
    LATHE_CHECK(advance());
    return token;
  }
  Result<Token> word(std::string_view expected) {
    return take(token_.kind == TokenKind::word && token_.text != "_", expected);
  }
  Result<Token> value(std::string_view expected) {
    return take(token_.kind == TokenKind::value, expected);
  }

  // item {"," item} until `close`, between `open` and `close`; possibly empty.
  template <typename Item>
  Status list(std::string_view open, std::string_view close, Item item) {
    LATHE_CHECK(punctuation(open));
    for (size_t count = 0; !at_punctuation(close); ++count) {
      if (count > 0) {
        if (!at_punctuation(",")) return unexpected(fmt::format("',' or '{}'", close));
        LATHE_CHECK(advance());
      }
      if (count == kMaxList)
        return unexpected(fmt::format("at most {} items in one list", kMaxList));
      LATHE_CHECK(item());
    }
    return punctuation(close);
  }

  // item {"," item}, at least one.
  template <typename Item>
  Status sequence(Item item) {
    LATHE_CHECK(item());
    for (size_t count = 1; at_punctuation(","); ++count) {
      LATHE_CHECK(advance());
      if (count == kMaxList)
        return unexpected(fmt::format("at most {} items in one list", kMaxList));
      LATHE_CHECK(item());
    }
    return {};
  }

  // Types and dimensions.

  Result<int64_t> integer(const Token& token, int64_t least, int64_t most) {
    int64_t number = 0;
    const char* last = token.text.data() + token.text.size();
    const auto [end, error] = std::from_chars(token.text.data(), last, number);
    if (token.kind != TokenKind::number || error != std::errc() || end != last || number < least ||
        number > most) {
      return error_at(
          token.location, ErrorCode::parse_error,
          fmt::format("found {}, expected an integer from {} to {}", describe(token), least, most));
    }
    return number;
  }

  // integer | name | integer "*" name
  Result<Dim> dim(int64_t least) {
    if (token_.kind == TokenKind::word) {
      LATHE_TRY(const Token name, word("a dimension: a number, a name or number*name"));
      return Dim(std::string(name.text));
    }
    LATHE_TRY(const Token token, take(token_.kind == TokenKind::number,
                                      "a dimension: a number, a name or number*name"));
    LATHE_TRY(const int64_t number, integer(token, least, kMaxDim));
    if (!at_punctuation("*")) return Dim(number);
    LATHE_CHECK(integer(token, 1, kMaxDim));
    LATHE_CHECK(advance());
    LATHE_TRY(const Token name, word("the name of a dimension"));
    return number * Dim(std::string(name.text));
  }

  Result<TensorType> type() {
    LATHE_TRY(const Token token, word("a type such as f32[tokens, 2048]"));
    const auto element = parse_type(token.text);
    if (!element) return error_at(token.location, ErrorCode::parse_error, element.error().message);
    TensorType result{*element, {}};
    LATHE_CHECK(list("[", "]", [&]() -> Status {
      LATHE_TRY(result.shape.emplace_back(), dim(0));
      return {};
    }));
    return result;
  }

  // Values.

  Result<ValueId> define(const Token& token, TensorType type, int32_t producer, int32_t result) {
    if (graph_.values.size() == kMaxValues) {
      return error_at(token.location, ErrorCode::parse_error,
                      fmt::format("found more than {} values", kMaxValues));
    }
    const auto id = static_cast<ValueId>(graph_.values.size());
    if (const auto [entry, added] = names_.emplace(token.text, id); !added) {
      const Location first = graph_.value(entry->second).location;
      return error_at(
          token.location, ErrorCode::parse_error,
          fmt::format(
              "found a second definition of %{}, expected a new name (the first is at {}:{})",
              token.text, first.line, first.column));
    }
    graph_.values.push_back({.name = std::string(token.text),
                             .type = std::move(type),
                             .producer = producer,
                             .result = result,
                             .location = token.location});
    return id;
  }

  Result<ValueId> resolve(const Token& token) {
    if (const auto found = names_.find(token.text); found != names_.end()) return found->second;
    std::vector<std::string_view> known;  // the latest are the likeliest
    for (size_t i = graph_.values.size(); i-- > 0 && known.size() < 256;)
      known.push_back(graph_.values[i].name);
    const std::string_view nearest = nearest_name(token.text, known);
    return error_at(
        token.location, ErrorCode::parse_error,
        fmt::format("found %{}, which has no definition above; expected a value{}", token.text,
                    nearest.empty() ? "" : fmt::format(" (did you mean %{}?)", nearest)));
  }

  Status parameter() {
    LATHE_TRY(const Token name, value("an input such as %x: f32[tokens, 2048]"));
    LATHE_CHECK(punctuation(":"));
    const Location location = token_.location;
    LATHE_TRY(TensorType parsed, type());
    if (const auto checked = check_type(parsed); !checked) {
      return error_at(location, checked.error().code, checked.error().message);
    }
    LATHE_TRY(const ValueId id, define(name, std::move(parsed), -1, 0));
    graph_.inputs.push_back(id);
    return {};
  }

  // Attributes.

  Result<AttributeValue> number() {
    LATHE_TRY(const Token token, take(token_.kind == TokenKind::number, "a number"));
    const char* first = token.text.data();
    const char* last = first + token.text.size();
    if (token.text == "-0") return AttributeValue(-0.0);
    int64_t integer = 0;
    if (const auto parsed = std::from_chars(first, last, integer);
        parsed.ec == std::errc() && parsed.ptr == last) {
      return AttributeValue(integer);
    }
    double real = 0;
    if (const auto parsed = std::from_chars(first, last, real);
        parsed.ec == std::errc() && parsed.ptr == last) {
      return AttributeValue(real);
    }
    return error_at(token.location, ErrorCode::parse_error,
                    fmt::format("found {}, expected a number in range", describe(token)));
  }

  static std::optional<double> special_real(std::string_view text) {
    if (text == "inf") return std::numeric_limits<double>::infinity();
    if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
    return std::nullopt;
  }

  Result<AttributeValue> literal() {
    if (at_punctuation("[")) return literal_list();
    if (token_.kind == TokenKind::number) return number();
    LATHE_TRY(const Token token, word("a value: a number, a word or a list in [ ]"));
    if (token.text == "true" || token.text == "false") return AttributeValue(token.text == "true");
    if (const auto special = special_real(token.text)) return AttributeValue(*special);
    return AttributeValue(std::string(token.text));
  }

  // All integers: a list of integers; with a real among them, of reals; with a name, of dimensions.
  Result<AttributeValue> literal_list() {
    const Location start = token_.location;
    AttributeValue::Reals reals;
    Shape dims;
    bool has_real = false;
    bool has_name = false;
    LATHE_CHECK(list("[", "]", [&]() -> Status {
      const Token first = token_;
      if (first.kind == TokenKind::number) {
        LATHE_TRY(const AttributeValue value, number());
        if (value.kind() == AttributeKind::real) {
          has_real = true;
          reals.push_back(value.real());
          return {};
        }
        dims.emplace_back(value.integer());
        reals.push_back(static_cast<double>(value.integer()));
        if (!at_punctuation("*")) return {};
        LATHE_CHECK(integer(first, 1, kMaxDim));
        LATHE_CHECK(advance());
      }
      LATHE_TRY(const Token name, word("a number or the name of a dimension"));
      if (const auto special = special_real(name.text);
          special && first.kind != TokenKind::number) {
        has_real = true;
        reals.push_back(*special);
        return {};
      }
      has_name = true;
      if (first.kind != TokenKind::number) dims.emplace_back(1);
      dims.back() = dims.back().factor * Dim(std::string(name.text));
      return {};
    }));
    if (has_real && has_name) {
      return error_at(start, ErrorCode::parse_error,
                      "found reals and names in one list, expected one kind");
    }
    if (has_real) return AttributeValue(std::move(reals));
    if (has_name) return AttributeValue(std::move(dims));
    AttributeValue::Integers integers;
    for (const Dim& dim : dims) integers.push_back(dim.number());
    return AttributeValue(std::move(integers));
  }

  Status attribute(Attributes& attributes) {
    const Location location = token_.location;
    LATHE_TRY(const Token name, word("an attribute's name"));
    if (attributes.find(name.text) != nullptr) {
      return error_at(location, ErrorCode::parse_error,
                      fmt::format("found attribute {} twice, expected it once", describe(name)));
    }
    LATHE_CHECK(punctuation("="));
    LATHE_TRY(AttributeValue value, literal());
    attributes.set(std::string(name.text), std::move(value));
    return {};
  }

  // Statements: results = op(operands) {attributes} : types

  Status operand(Node& node) {
    if (token_.kind == TokenKind::word && token_.text == "_") {
      node.operands.push_back(kNoValue);
      return advance();
    }
    LATHE_TRY(const Token token, value("an operand such as %x, or _ for one left out"));
    LATHE_TRY(node.operands.emplace_back(), resolve(token));
    return {};
  }

  Status statement() {
    std::vector<Token> results;
    LATHE_CHECK(sequence([&]() -> Status {
      LATHE_TRY(results.emplace_back(), value("a statement such as %y = silu(%x), or '}'"));
      return {};
    }));
    LATHE_CHECK(punctuation("="));
    Node node;
    LATHE_TRY(const Token name, word("the name of an op"));
    node.location = name.location;
    const auto op = find_op(name.text);
    if (!op) return error_at(name.location, op.error().code, op.error().message);
    node.op = *op;
    LATHE_CHECK(list("(", ")", [&] { return operand(node); }));
    while (!node.operands.empty() && node.operands.back() == kNoValue) node.operands.pop_back();
    if (at_punctuation("{")) {
      LATHE_CHECK(list("{", "}", [&] { return attribute(node.attributes); }));
    }
    return finish(std::move(node), results);
  }

  Status finish(Node node, const std::vector<Token>& results) {
    auto attributes = complete_attributes(*node.op, node.attributes);
    if (!attributes)
      return error_at(node.location, attributes.error().code, attributes.error().message);
    node.attributes = std::move(*attributes);
    std::vector<const TensorType*> operands;
    for (size_t i = 0; i < node.operands.size(); ++i)
      operands.push_back(graph_.operand_type(node, i));
    const auto types =
        infer_node(*node.op, operands, node.attributes, static_cast<int>(results.size()));
    if (!types) return error_at(node.location, types.error().code, types.error().message);
    LATHE_CHECK(check_annotation(*types));
    for (size_t i = 0; i < results.size(); ++i) {
      LATHE_TRY(node.results.emplace_back(),
                define(results[i], (*types)[i], static_cast<int32_t>(graph_.nodes.size()),
                       static_cast<int32_t>(i)));
    }
    graph_.nodes.push_back(std::move(node));
    return {};
  }

  // An optional ": type {, type}" must say what inference found.
  Status check_annotation(const std::vector<TensorType>& inferred) {
    if (!at_punctuation(":")) return {};
    LATHE_CHECK(advance());
    size_t count = 0;
    LATHE_CHECK(sequence([&]() -> Status {
      const Location location = token_.location;
      LATHE_TRY(const TensorType stated, type());
      if (count < inferred.size() && stated == inferred[count]) {
        ++count;
        return {};
      }
      return error_at(
          location, ErrorCode::verify_error,
          fmt::format("found {}, expected {}", to_string(stated),
                      count < inferred.size() ? to_string(inferred[count])
                                              : fmt::format("{} types", inferred.size())));
    }));
    if (count != inferred.size())
      return unexpected(fmt::format("',' and the type of result {}", count + 1));
    return {};
  }

  std::string_view source_;
  Lexer lexer_;
  Token token_;
  Graph graph_;
  std::unordered_map<std::string_view, ValueId> names_;  // keys point into the source
};

}  // namespace

Result<Graph> parse(std::string_view text) {
  if (text.size() > kMaxText) {
    return fail(ErrorCode::parse_error, "1:1: found a text of {} bytes, expected at most {}",
                text.size(), kMaxText);
  }
  return Parser(text).run();
}

}  // namespace lathe::ir::graph

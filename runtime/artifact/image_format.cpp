// The table of image formats.
#include "runtime/artifact/image_format.h"

#include <array>

namespace lathe::runtime {
namespace {

using Format = codegen::KernelImage::Format;

struct NamedFormat {
  std::string_view name;
  Format format;
};

constexpr std::array kFormats = {
    NamedFormat{"flat/1", Format::flat},
    NamedFormat{"object/1", Format::object},
};

}  // namespace

Result<std::string_view> image_format_name(Format format) {
  for (const NamedFormat& each : kFormats)
    if (each.format == format) return each.name;
  return fail(ErrorCode::internal, "image format {} has no name", static_cast<int>(format));
}

Result<Format> parse_image_format(std::string_view name) {
  std::string known;
  for (const NamedFormat& each : kFormats) {
    if (each.name == name) return each.format;
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  return fail(ErrorCode::unsupported,
              "found image format '{}', expected one of {}: this needs a newer Lathe, or a device "
              "that this one does not run",
              name, known);
}

}  // namespace lathe::runtime

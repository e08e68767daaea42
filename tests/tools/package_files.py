"""Packages written by Python alone, good ones and forgeries: what docs/packages.md says, read from there."""

import hashlib
import io
import json
import warnings
import zipfile

SEAL = b"lathe seal blake2b "
SEAL_DIGITS = 64
MANIFEST_OF_KEY = ("problem", "family", "family_revision", "compiler_version", "host", "target", "threads", "cache", "at",
                   "deterministic", "objective")
MANIFEST_OF_WINNER = ("schedule", "tuned_ns", "default_ns", "confidence", "verified")
NEEDS = {"scalar": "sse3+ssse3+sse4_1", "sse": "sse3+ssse3+sse4_1",
         "avx2": "sse3+ssse3+sse4_1+avx+f16c+fma+avx2",
         "avx512": "sse3+ssse3+sse4_1+avx+f16c+fma+avx2+avx512f+avx512bw+avx512dq+avx512vl"}


def digest(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def sealed(data):
    """The bytes of an archive, under a seal that fits them."""
    data = data[:-SEAL_DIGITS]
    return data + digest(data).encode()


def archive(entries, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as container:
        warnings.simplefilter("ignore")  # of names that are there twice: this is what forgers do
        for name, data in entries:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            container.writestr(info, data)
        container.comment = SEAL + b"0" * SEAL_DIGITS
    return sealed(file.getvalue())


def entries_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        return [(info.filename, container.read(info)) for info in container.infolist()]


def package(hosts, winners, **member):
    """An unsigned package of records such as `export` prints them; `member`: other fields of its one member."""
    recipes = json.dumps({"hosts": hosts, "winners": winners}).encode()
    kernels = [{"member": "recipes.json", **{field: winner["key"][field] for field in MANIFEST_OF_KEY},
                **{field: winner[field] for field in MANIFEST_OF_WINNER},
                "needs": NEEDS.get(winner["key"]["target"], "none")} for winner in winners]
    manifest = {"format": "lathe package", "version": 1, "lathe_version": "0.1.0", "compiler_version": "5",
                "members": [{"name": "recipes.json", "kind": "recipes", "version": 1, "bytes": len(recipes),
                             "blake2b": digest(recipes), **member}],
                "hosts": hosts, "kernels": kernels}
    return archive([("manifest.json", json.dumps(manifest).encode()), ("recipes.json", recipes)])

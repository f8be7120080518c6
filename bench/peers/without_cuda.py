"""without_cuda.py FOLDER: writes libraries into FOLDER that stand in for CUDA's, so that `import torch` works.

PyPI's PyTorch for Linux is linked against CUDA's libraries and cannot be loaded without them, though nothing on the CPU
calls them. Every function that PyTorch's own libraries ask for is defined here, under the same name and version, and
answers 100: cudaErrorNoDevice. PyTorch then finds no GPU. Needs gcc and readelf (binutils).
"""

import pathlib
import re
import subprocess
import sys
import sysconfig

CUDA_LIBRARY = re.compile(r"lib(cu|nccl|nv)")
CUDA_FUNCTION = re.compile(r"(cu|nccl|nv)")


def readelf(option, library):
    command = ["readelf", "--wide", option, str(library)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wanted(folder):
    """({library: version or None}, {version or None: functions}) that PyTorch's libraries need of CUDA's."""
    libraries, functions = {}, {}
    for library in sorted(folder.glob("*.so*")):
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", library)):
            if CUDA_LIBRARY.match(name):
                libraries.setdefault(name, None)
        # "Version needs" lists the version names by library: `File: libcudart.so.13`, then `Name: libcudart.so.13`.
        for block in readelf("--version-info", library).split("File: ")[1:]:
            name = block.split()[0]
            if CUDA_LIBRARY.match(name):
                libraries[name] = re.search(r"Name: (\S+)", block).group(1)
        for line in readelf("--dyn-syms", library).splitlines():
            fields = line.split()
            if len(fields) < 8 or fields[6] != "UND":
                continue
            function, _, version = fields[7].partition("@")
            version = version.lstrip("@") or None
            if version or CUDA_FUNCTION.match(function):
                functions.setdefault(version, set()).add(function)
    return libraries, functions


def source_of(function):
    if function == "cudaGetErrorString":
        return 'const char* cudaGetErrorString(int e) { (void)e; return "CUDA is not here"; }'
    return f"int {function}(void) {{ return 100; }}"


def write_library(folder, name, version, functions):
    source, script = folder / (name + ".c"), folder / (name + ".map")
    source.write_text("\n".join(source_of(function) for function in sorted(functions)) + "\n")
    script.write_text(f"{version} {{ global: *; }};\n" if version else "{ global: *; };\n")
    command = ["gcc", "-w", "-shared", "-fPIC", "-fno-builtin", f"-Wl,-soname,{name}"]
    command += [f"-Wl,--version-script={script}", "-o", str(folder / name), str(source)]
    subprocess.run(command, check=True)
    source.unlink()
    script.unlink()


def main(target):
    folder = pathlib.Path(target)
    folder.mkdir(parents=True, exist_ok=True)
    libraries, functions = wanted(pathlib.Path(sysconfig.get_path("platlib")) / "torch" / "lib")
    unversioned = functions.get(None, set())
    for name, version in libraries.items():
        # Functions without a version are found in whichever library is loaded: libcudart always is.
        more = unversioned if name.startswith("libcudart") else set()
        write_library(folder, name, version, functions.get(version, set()) | more if version else more)


if __name__ == "__main__":
    main(sys.argv[1])

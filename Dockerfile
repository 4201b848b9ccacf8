# Everything, for a machine with an NVIDIA GPU (and its container toolkit):
#   docker build -t newt .
#   docker run --gpus all -v "$PWD/runs:/newt/runs" newt newt-train --tasks all --skip-missing
FROM python:3.12-slim-bookworm

# git: the commit of a run. libgl1, libx11-6: states of ManiSkill. The rest: frames of MuJoCo's scenes.
# g++: --execution compile.
RUN apt-get update \
 && apt-get install -y --no-install-recommends git g++ libgl1 libx11-6 libegl1 libgles2 \
 && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir "uv>=0.9,<1"

WORKDIR /newt
COPY . .
RUN uv sync --locked --no-default-groups

# graphics: the driver's EGL and Vulkan, which draw frames.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics PATH="/newt/.venv/bin:$PATH"
CMD ["newt-train"]

# The relay as an image. It has no build step: one stage fetches the production dependencies, the other holds what runs.
# Debian and not Alpine: the binaries of uWebSockets.js need glibc. The version of Node is that of package.json.
FROM node:22.23.3-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without install scripts: the only one that is approved brings a Node, and the image has its own.
# uWebSockets.js comes with binaries for all platforms and Nodes, over 100 MB: one is loaded.
RUN npm install --omit=dev --ignore-scripts \
  && kept="uws_linux_$(node -p process.arch)_$(node -p process.versions.modules).node" \
  && test -f "node_modules/uWebSockets.js/dist/bin/$kept" \
  && find node_modules/uWebSockets.js/dist/bin -type f ! -name "$kept" -delete

FROM node:22.23.3-bookworm-slim
LABEL org.opencontainers.image.title="fanwire" \
      org.opencontainers.image.description="A high-throughput relay for real-time messages" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE NOTICE ./
COPY src ./src
# A container has a network of its own, and who reaches it is decided by what is published. Without a configuration the
# relay does not start with these, and says why: it would be open to everybody.
ENV NODE_ENV=production \
    FANWIRE_HTTP_SERVER_ADDRESS=0.0.0.0 \
    FANWIRE_HTTP_SERVER_INTERNAL_ADDRESS=0.0.0.0 \
    FANWIRE_TCP_ADDRESS=0.0.0.0
# What outlasts the container: histories after a stop in order, if shutdown.history_path says so, and all that the messenger
# keeps, if messenger.path does. A new volume takes owner and mode from here.
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/fanwire
# The user "node" by its number, so that an orchestrator can see that it is not root. Nothing in /app is its own.
USER 1000:1000
EXPOSE 8000 8001 9000
# In order: /ready 503, goodbyes, exit code 0. Give it more time than shutdown.termination_timeout (30 s).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "src/start.mjs", "health"]
# No init process before it: the relay takes its signals itself, and starts no processes that could be left behind.
ENTRYPOINT ["node", "src/start.mjs"]
CMD ["serve"]

// All that are measured side by side, in the order of the table. The first one is what the others are compared with.

import { fanwire, fanwireHistory } from './fanwire.ts'
import { peer as mosquitto } from './mosquitto.ts'
import { peer as nats } from './nats.ts'
import type { Peer } from './peer.ts'
import { peer as socketio } from './socketio.ts'
import { peer as uwebsockets } from './uwebsockets.ts'
import { peer as ws } from './ws.ts'

export const peers: readonly Peer[] = [uwebsockets, fanwire, fanwireHistory, ws, socketio, nats, mosquitto]

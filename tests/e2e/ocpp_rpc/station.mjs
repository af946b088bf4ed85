// An OCPP 1.6 station made with ocpp-rpc. Usage: node station.mjs <endpoint> <identity> <token>
//
// It boots, charges for four minutes of its own time, obeys commands until it is told to reset, and closes. What it
// got is written to standard output as one line of JSON for each event; strict mode checks every frame of both sides
// against the schemas of the library.

import { RPCClient, createRPCError } from 'ocpp-rpc';

const [endpoint, identity, token] = process.argv.slice(2);
const REGISTER_WH = 50_000;
const STEP_WH = 200;
const SAMPLES = 4;
const MINUTE_MS = 60_000;

const tell = (event, data) => process.stdout.write(`${JSON.stringify({ event, ...data })}\n`);

const station = new RPCClient({
    endpoint,
    identity,
    protocols: ['ocpp1.6'],
    strictMode: true,
    reconnect: false,
});

station.on('strictValidationFailure', ({ error }) => tell('invalid', { message: error.message }));
station.on('badMessage', ({ error }) => tell('invalid', { message: error.message }));

const resetAsked = new Promise((resolve) => {
    station.handle('Reset', ({ params }) => {
        tell('reset', params);
        setImmediate(resolve); // after the answer has left
        return { status: 'Accepted' };
    });
});

station.handle('UnlockConnector', () => ({ status: 'Unlocked' }));
station.handle('GetConfiguration', ({ params }) => ({
    configurationKey: [{ key: 'HeartbeatInterval', readonly: false, value: '300' }],
    unknownKey: (params.key ?? []).filter((key) => key !== 'HeartbeatInterval'),
}));
station.handle('ClearCache', () => {
    throw createRPCError('NotSupported', 'this station has no cache');
});
station.handle('RemoteStartTransaction', ({ params }) => {
    tell('remote start', params);
    return { status: 'Rejected' };
});
station.handle('TriggerMessage', ({ params }) => {
    if (params.requestedMessage !== 'Heartbeat') return { status: 'NotImplemented' };
    setImmediate(async () => tell('triggered', await station.call('Heartbeat', {})));
    return { status: 'Accepted' };
});

async function status(connectorId, word, errorCode = 'NoError') {
    const timestamp = new Date().toISOString();
    await station.call('StatusNotification', { connectorId, status: word, errorCode, timestamp });
}

async function charge() {
    const startedAt = Date.now() - SAMPLES * MINUTE_MS;
    const at = (step) => new Date(startedAt + step * MINUTE_MS).toISOString();
    tell('authorised', await station.call('Authorize', { idTag: token }));
    const start = { connectorId: 1, idTag: token, meterStart: REGISTER_WH, timestamp: at(0) };
    const { transactionId, idTagInfo } = await station.call('StartTransaction', start);
    tell('started', { transactionId, idTagInfo });
    await status(1, 'Charging');
    for (let step = 1; step <= SAMPLES; step += 1) {
        const sampledValue = [{ value: String(REGISTER_WH + step * STEP_WH) }];
        const meterValue = [{ timestamp: at(step), sampledValue }];
        await station.call('MeterValues', { connectorId: 1, transactionId, meterValue });
    }
    const stop = { meterStop: REGISTER_WH + SAMPLES * STEP_WH, timestamp: at(SAMPLES), transactionId };
    tell('stopped', await station.call('StopTransaction', { ...stop, idTag: token, reason: 'EVDisconnected' }));
    await status(1, 'Available');
}

await station.connect();
tell('booted', await station.call('BootNotification', { chargePointVendor: 'Node Works', chargePointModel: 'NW 11' }));
await status(0, 'Available');
await status(1, 'Preparing');
await charge();
tell('ready', {});
await resetAsked;
await station.close({ code: 1001, reason: 'rebooting', awaitPending: true });
tell('closed', {});

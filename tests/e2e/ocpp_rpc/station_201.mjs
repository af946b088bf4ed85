// An OCPP 2.0.1 station made with ocpp-rpc. Usage: node station_201.mjs <endpoint> <identity> <token>
//
// The same life as that of station.mjs in the words of 2.0.1: it boots, charges for four minutes of its own time, obeys
// commands until it is told to reset, and closes. Strict mode checks every frame of both sides against the library's schemas.

import { RPCClient, createRPCError } from 'ocpp-rpc';

const [endpoint, identity, token] = process.argv.slice(2);
const REGISTER_WH = 50_000;
const STEP_WH = 200;
const SAMPLES = 4;
const MINUTE_MS = 60_000;
const TRANSACTION = 'node-transaction-1';

const tell = (event, data) => process.stdout.write(`${JSON.stringify({ event, ...data })}\n`);

const station = new RPCClient({
    endpoint,
    identity,
    protocols: ['ocpp2.0.1', 'ocpp1.6'],
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

station.handle('GetVariables', ({ params }) => ({
    getVariableResult: params.getVariableData.map(({ component, variable }) => ({
        component,
        variable,
        ...(variable.name === 'HeartbeatInterval'
            ? { attributeStatus: 'Accepted', attributeValue: '300' }
            : { attributeStatus: 'UnknownVariable' }),
    })),
}));
station.handle('ClearCache', () => {
    throw createRPCError('NotSupported', 'this station has no cache');
});
station.handle('RequestStartTransaction', ({ params }) => {
    tell('remote start', params);
    return { status: 'Rejected' };
});
station.handle('GetTransactionStatus', ({ params }) => ({
    ongoingIndicator: params.transactionId === TRANSACTION ? false : undefined,
    messagesInQueue: false,
}));
station.handle('TriggerMessage', ({ params }) => {
    if (params.requestedMessage !== 'Heartbeat') return { status: 'NotImplemented' };
    setImmediate(async () => tell('triggered', await station.call('Heartbeat', {})));
    return { status: 'Accepted' };
});

async function status(word) {
    const timestamp = new Date().toISOString();
    await station.call('StatusNotification', { timestamp, connectorStatus: word, evseId: 1, connectorId: 1 });
}

async function charge() {
    const startedAt = Date.now() - SAMPLES * MINUTE_MS;
    const at = (step) => new Date(startedAt + step * MINUTE_MS).toISOString();
    const idToken = { idToken: token, type: 'ISO14443' };
    tell('authorised', await station.call('Authorize', { idToken }));
    let seqNo = 0;
    const event = (eventType, step, triggerReason, chargingState, more = {}) => {
        const { stoppedReason, ...rest } = more;
        const transactionInfo = { transactionId: TRANSACTION, chargingState, ...(stoppedReason && { stoppedReason }) };
        const context = { Started: 'Transaction.Begin', Updated: 'Sample.Periodic', Ended: 'Transaction.End' }[eventType];
        const sampledValue = [{ value: REGISTER_WH + step * STEP_WH, context }];
        const meterValue = [{ timestamp: at(step), sampledValue }];
        const told = { eventType, timestamp: at(step), triggerReason, seqNo, transactionInfo, meterValue, ...rest };
        seqNo += 1;
        return station.call('TransactionEvent', told);
    };
    tell('started', await event('Started', 0, 'Authorized', 'Charging', { idToken, evse: { id: 1, connectorId: 1 } }));
    await status('Occupied');
    for (let step = 1; step < SAMPLES; step += 1) await event('Updated', step, 'MeterValuePeriodic', 'Charging');
    tell('stopped', await event('Ended', SAMPLES, 'EVDeparted', 'Idle', { stoppedReason: 'EVDisconnected' }));
    await status('Available');
}

await station.connect();
const chargingStation = { model: 'NW 22', vendorName: 'Node Works', serialNumber: 'NW-0815' };
tell('booted', await station.call('BootNotification', { reason: 'PowerUp', chargingStation }));
await status('Available');
await charge();
tell('ready', {});
await resetAsked;
await station.close({ code: 1001, reason: 'rebooting', awaitPending: true });
tell('closed', {});
